// Stores a generic credential: credential.exe NAME USER SECRET utf8|utf16. cmdkey, which Wine lacks, stores UTF-16.
#include <windows.h>
#include <wincred.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
	static wchar_t name[256], user[256], wide[256];
	CREDENTIALW c = {0};
	if (argc != 5) return 2;
	MultiByteToWideChar(CP_UTF8, 0, argv[1], -1, name, 256);
	MultiByteToWideChar(CP_UTF8, 0, argv[2], -1, user, 256);
	MultiByteToWideChar(CP_UTF8, 0, argv[3], -1, wide, 256);
	c.Type = CRED_TYPE_GENERIC;
	c.TargetName = name;
	c.UserName = user;
	c.Persist = CRED_PERSIST_LOCAL_MACHINE;
	c.CredentialBlob = strcmp(argv[4], "utf16") ? (BYTE *)argv[3] : (BYTE *)wide;
	c.CredentialBlobSize = strcmp(argv[4], "utf16") ? strlen(argv[3]) : 2 * lstrlenW(wide);
	if (CredWriteW(&c, 0)) return 0;
	fprintf(stderr, "CredWrite: %lu\n", GetLastError());
	return 1;
}
