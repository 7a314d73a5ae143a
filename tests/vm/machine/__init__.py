"""The virtual machine in which the Linux initiator runs: image.py makes it, qemu.py starts it, agent.py answers in it."""
