"""A front end as Exchange's: it demands Kerberos with sealed messages, opens them with MIT Kerberos (GSS-API), and hands the plain
request to a server behind it, whose answer it seals. It decides whether our sealing is what GSS-API understands.

usage: front.py INNER-URL AUTHORIZATION SCHEME     prints its port on the first line
"""
import base64
import http.server
import re
import struct
import sys
import urllib.error
import urllib.request

import gssapi
from gssapi.raw import IOV, IOVBufferType, unwrap_iov, wrap_iov

INNER, AUTHORIZATION, SCHEME = sys.argv[1:4]
PROTOCOL = 'application/HTTP-%s-session-encrypted' % {'Kerberos': 'Kerberos', 'Negotiate': 'SPNEGO'}[SCHEME]
MARK = b'Encrypted Boundary'


def unseal(context, body):
    head, payload = body.split(b'\tContent-Type: application/octet-stream\r\n', 1)
    assert head.count(b'--' + MARK + b'\r\n') == 2, head
    assert ('Content-Type: ' + PROTOCOL).encode() in head, head
    length = int(re.search(rb'OriginalContent: type=application/soap\+xml;charset=UTF-8;Length=(\d+)\r\n', head).group(1))
    end = b'--' + MARK + b'--\r\n'
    assert payload.endswith(end)
    payload = payload[:-len(end)]
    n = struct.unpack('<i', payload[:4])[0]
    # With separate buffers, GSS-API requires a signature of the length of its own.
    iov = IOV((IOVBufferType.header, False, payload[4:4 + n]), payload[4 + n:], IOVBufferType.data, std_layout=False)
    result = unwrap_iov(context, iov)
    assert result.encrypted
    assert len(iov[1].value) == length, (len(iov[1].value), length)
    return iov[1].value


def seal(context, plain):
    iov = IOV((IOVBufferType.header, True), plain, (IOVBufferType.padding, True), std_layout=False)
    wrap_iov(context, iov, True)
    pad = iov[2].value or b''
    # Exchange's quirk: a blank between the dashes and the boundary.
    return b''.join([
        b'-- ' + MARK + b'\r\n\tContent-Type: ' + PROTOCOL.encode() + b'\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n' % (len(plain) + len(pad)),
        b'-- ' + MARK + b'\r\n\tContent-Type: application/octet-stream\r\n',
        struct.pack('<i', len(iov[0].value)), iov[0].value, iov[1].value, pad, b'-- ' + MARK + b'--\r\n'])


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    context = None  # of this connection

    def log_message(self, *args):
        pass

    def reply(self, code, headers, body=b''):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):  # a client that cancels hangs up
            self.close_connection = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', '0')))
        authorization = self.headers.get('Authorization', '')
        if authorization:
            if not authorization.startswith(SCHEME + ' '):
                return self.reply(401, [('WWW-Authenticate', SCHEME)])
            context = gssapi.SecurityContext(usage='accept')
            try:
                token = context.step(base64.b64decode(authorization.split(' ', 1)[1]))
            except gssapi.exceptions.GSSError as e:
                print('refused:', e, file=sys.stderr, flush=True)
                return self.reply(401, [('WWW-Authenticate', SCHEME)])
            assert context.complete and not body
            wanted = gssapi.RequirementFlag
            for flag in (wanted.mutual_authentication, wanted.confidentiality, wanted.integrity, wanted.replay_detection, wanted.out_of_sequence_detection):
                assert flag in context.actual_flags, (flag, context.actual_flags)
            self.context = context
            print('authenticated', context.initiator_name, file=sys.stderr, flush=True)
            return self.reply(200, [('WWW-Authenticate', SCHEME + ' ' + base64.b64encode(token).decode())])
        if self.context is None:
            return self.reply(401, [('WWW-Authenticate', SCHEME)])
        if not self.headers.get('Content-Type', '').startswith('multipart/encrypted'):
            return self.reply(500, [], b'unencrypted messages are not accepted')
        request = urllib.request.Request(INNER, data=unseal(self.context, body),
                                         headers={'Content-Type': 'application/soap+xml;charset=UTF-8', 'Authorization': AUTHORIZATION})
        try:
            answer = urllib.request.urlopen(request)
            code, plain = answer.status, answer.read()
        except urllib.error.HTTPError as e:
            code, plain = e.code, e.read()
        self.reply(code, [('Content-Type', 'multipart/encrypted;protocol="%s";boundary="Encrypted Boundary"' % PROTOCOL)], seal(self.context, plain))


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Front)
print(server.server_address[1], flush=True)
server.serve_forever()
