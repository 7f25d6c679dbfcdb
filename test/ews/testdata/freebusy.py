"""Asks a server for free/busy with exchangelib. argv: PORT EMAIL USER PASSWORD OTHER...

exchangelib builds its autodiscover URLs from the domain, without a port. Its own steps are kept; only the first one is pointed at
https://127.0.0.1:PORT. Prints one JSON document a protocol.
"""
import datetime
import json
import sys

from exchangelib import Configuration, Credentials, EWSDateTime, EWSTimeZone
from exchangelib.autodiscover.discovery.base import BaseAutodiscovery
from exchangelib.autodiscover.discovery.pox import PoxAutodiscovery
from exchangelib.autodiscover.discovery.soap import SoapAutodiscovery
from exchangelib.protocol import FailFast, Protocol

port, email, user, password = sys.argv[1:5]
others = sys.argv[5:]


def first_step(self, hostname):
    ok, found = self._attempt_response(url=f"https://127.0.0.1:{port}/{self.URL_PATH}")
    return self._step_5(ad=found) if ok else self._step_6()


BaseAutodiscovery._ensure_valid_hostname = lambda self, url: None  # would ask DNS for "127.0.0.1:PORT."
BaseAutodiscovery._step_1 = first_step
utc = EWSTimeZone("UTC")
start = EWSDateTime(2026, 11, 23, tzinfo=utc)


def ask(name, protocol):
    protocol.config.retry_policy = FailFast()
    answers = {}
    accounts = [(a, "Required", False) for a in [email] + others]
    views = protocol.get_free_busy_info(
        accounts=accounts, start=start, end=start + datetime.timedelta(days=1), merged_free_busy_interval=60, requested_view="DetailedMerged"
    )
    for account, view in zip(accounts, views):
        if isinstance(view, Exception):
            answers[account[0]] = {"error": type(view).__name__}
            continue
        answers[account[0]] = {
            "view": view.view_type,
            "merged": "".join(view.merged or []),
            "events": [f"{e.start.astimezone(utc).isoformat()} {e.busy_type} {e.details.subject if e.details else ''}".strip() for e in view.calendar_events or []],
        }
    print(json.dumps({
        "protocol": name, "endpoint": protocol.service_endpoint, "version": str(protocol.version.build), "schema": protocol.version.api_version, "answers": answers,
    }))


credentials = Credentials(user, password)
ask("pox", PoxAutodiscovery(email=email, credentials=credentials).discover()[1])
ask("soap", SoapAutodiscovery(email=email, credentials=credentials).discover()[1])
ask("direct", Protocol(config=Configuration(
    service_endpoint=f"https://127.0.0.1:{port}/EWS/Exchange.asmx", credentials=credentials, retry_policy=FailFast())))
