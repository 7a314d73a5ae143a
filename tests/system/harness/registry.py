"""Which tests there are: functions marked with @test in files named *_test.py.

A test takes one argument, the environment (environment.py). It fails by raising anything but Skip.
"""
import importlib.util
import pathlib


class Skip(Exception):
    """Raised to say that a test cannot be run here, with the reason."""


TESTS = []


def test(quick=False, timeout_s=60, nightly=False):
    """Registers the function below. quick: part of `make test`. timeout_s: for the release build. nightly: only of
    `make nightly`."""

    def register(function):
        function.quick, function.nightly = quick, nightly
        function.timeout_s = timeout_s
        function.title = f"{function.__module__}.{function.__name__}"
        TESTS.append(function)
        return function

    return register


def load(directory):
    """Imports every *_test.py of the directory; returns the tests in the order of their files and lines."""
    for path in sorted(pathlib.Path(directory).glob("*_test.py")):
        name = path.stem[: -len("_test")]
        spec = importlib.util.spec_from_file_location(name, path)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return TESTS
