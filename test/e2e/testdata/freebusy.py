"""Does autodiscover and free/busy with exchangelib against labs. It reads one question per line of standard input, and prints one
answer per line, both JSON:

{"endpoints": {"HOST:PORT": "ADDRESS"}, "discovery": "pox|soap", "url": URL, "scheme": "basic|ntlm|oauth", "version": "2010_SP2",
 "user": EMAIL, "password": PASSWORD, "tenant": ID, "application": ID, "mailboxes": [EMAIL]}
{"endpoint": URL, "merged": {EMAIL: "0022...|error NAME"}, "texts": {EMAIL: TEXT OF THE ERROR}}

With a url there is no autodiscover. With oauth, an application whose secret is the password acts as the user. exchangelib is left as it is: its URLs, its order of autodiscover, its choice of authentication.
Only connections are led to where the lab listens, as curl's --connect-to does.
"""
import datetime
import json
import logging
import sys

import urllib3.util.connection as connection
from exchangelib import BASIC, NTLM, OAUTH2, Configuration, Credentials, EWSDateTime, EWSTimeZone, Identity, OAuth2Credentials
from exchangelib import version as versions
from exchangelib.autodiscover import clear_cache
from exchangelib.autodiscover.discovery.base import BaseAutodiscovery
from exchangelib.autodiscover.discovery.pox import PoxAutodiscovery
from exchangelib.autodiscover.discovery.soap import SoapAutodiscovery
from exchangelib.errors import EWSError
from exchangelib.protocol import CachingProtocol, FailFast, Protocol
from oauthlib.oauth2 import OAuth2Error
from requests import RequestException

endpoints = {}
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
logging.disable(logging.WARNING)  # each time of a calendar has no zone, which DetailedMerged allows


def open_protocol(q):
    if q["scheme"] == "oauth":
        credentials = OAuth2Credentials(client_id=q["application"], client_secret=q["password"], tenant_id=q["tenant"],
                                        identity=Identity(primary_smtp_address=q["user"]))
    else:
        credentials = Credentials(q["user"], q["password"])
    kind, endpoint = Protocol, q.get("url")
    if not endpoint:
        clear_cache()
        discovery = {"pox": PoxAutodiscovery, "soap": SoapAutodiscovery}[q["discovery"]]
        discovery.INITIAL_RETRY_POLICY = FailFast()
        found = discovery(email=q["user"], credentials=credentials).discover()[1]
        kind, endpoint = type(found), found.service_endpoint
    version = q.get("version")
    return kind(config=Configuration(
        service_endpoint=endpoint, credentials=credentials, auth_type={"basic": BASIC, "ntlm": NTLM, "oauth": OAUTH2}[q["scheme"]], retry_policy=FailFast(),
        version=versions.Version(build=getattr(versions, f"EXCHANGE_{version}")) if version else None))


def look_up(protocol, mailbox):
    day = datetime.datetime.now(datetime.timezone.utc)
    start = EWSDateTime(day.year, day.month, day.day, tzinfo=EWSTimeZone("UTC"))
    view = list(protocol.get_free_busy_info(
        accounts=[(mailbox, "Required", False)], start=start, end=start + datetime.timedelta(days=1), merged_free_busy_interval=30,
        requested_view="FreeBusyMerged"))[0]
    if isinstance(view, Exception):  # exchangelib returns some errors and raises others
        raise view
    return "".join(view.merged or [])


for line in sys.stdin:
    question = json.loads(line)
    endpoints = question["endpoints"]
    answer = {"endpoint": question.get("url", ""), "merged": {}, "texts": {}}
    protocol = None
    for mailbox in question["mailboxes"]:
        try:
            if protocol is None:
                protocol = open_protocol(question)
                answer["endpoint"] = protocol.service_endpoint
            answer["merged"][mailbox] = look_up(protocol, mailbox)
        except (EWSError, OAuth2Error, RequestException) as error:
            answer["merged"][mailbox] = f"error {type(error).__name__}"
            answer["texts"][mailbox] = str(error)
    CachingProtocol.clear_cache()
    print(json.dumps(answer), flush=True)
