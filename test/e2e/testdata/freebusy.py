"""Does autodiscover and free/busy with exchangelib against the lab. argv: LAB.JSON pox|soap|direct:URL basic|ntlm EMAIL PASSWORD OTHER...

exchangelib is left as it is: its URLs, its order of autodiscover, its choice of authentication. Only connections are led to where the
lab listens, as curl's --connect-to does. Prints one JSON document.
"""
import datetime
import json
import sys

import urllib3.util.connection as connection
from exchangelib import BASIC, NTLM, Configuration, Credentials, EWSDateTime, EWSTimeZone
from exchangelib.autodiscover.discovery.base import BaseAutodiscovery
from exchangelib.autodiscover.discovery.pox import PoxAutodiscovery
from exchangelib.autodiscover.discovery.soap import SoapAutodiscovery
from exchangelib.protocol import FailFast, Protocol

facts, discovery, scheme, email, password = sys.argv[1:6]
others = sys.argv[6:]
endpoints = json.load(open(facts))["endpoints"]
connect = connection.create_connection


def connect_to(address, *args, **kwargs):
    host, port = address
    target = endpoints.get(f"{host}:{port}")
    if target is None:
        raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
    host, port = target.rsplit(":", 1)
    return connect((host, int(port)), *args, **kwargs)


connection.create_connection = connect_to
BaseAutodiscovery._ensure_valid_hostname = lambda self, url: None  # asks the machine's DNS

utc = EWSTimeZone("UTC")
day = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
start = EWSDateTime(day.year, day.month, day.day, tzinfo=utc)
wanted = {"basic": BASIC, "ntlm": NTLM}[scheme]
if discovery.startswith("direct:"):
    kind, endpoint = Protocol, discovery.removeprefix("direct:")
else:
    discovery = {"pox": PoxAutodiscovery, "soap": SoapAutodiscovery}[discovery]
    discovery.INITIAL_RETRY_POLICY = FailFast()
    found = discovery(email=email, credentials=Credentials(email, password)).discover()[1]
    kind, endpoint = type(found), found.service_endpoint
protocol = kind(config=Configuration(
    service_endpoint=endpoint, credentials=Credentials(email, password), auth_type=wanted, retry_policy=FailFast()))
accounts = [(a, "Required", False) for a in [email] + others]
views = list(protocol.get_free_busy_info(
    accounts=accounts, start=start, end=start + datetime.timedelta(days=1), merged_free_busy_interval=30, requested_view="FreeBusyMerged"))
print(json.dumps({
    "endpoint": protocol.service_endpoint,
    "merged": {a[0]: f"error {type(v).__name__}" if isinstance(v, Exception) else "".join(v.merged or []) for a, v in zip(accounts, views)},
}))
