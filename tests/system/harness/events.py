"""The stream of events."""
import http.client
import socket
import threading


class EventStream:
    """GET /events, read by a thread; closed by the test."""

    def __init__(self, daemon, last_id=None):
        headers = {"Authorization": f"Bearer {daemon.token()}", "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=30)
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200 and "text/event-stream" in self.answer.headers["content-type"], self.answer.status
        self.events = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            for line in self.answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                elif event:
                    self.events.append(event)
                    event = {}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed

    def with_text(self, text):
        return next((e for e in list(self.events) if text in e.get("data", "")), None)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
