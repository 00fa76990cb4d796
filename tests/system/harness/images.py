# SPDX-License-Identifier: Apache-2.0
"""Images for the tests: OCI layouts written by hand, honest or not, and others made from the Debian image."""
import ctypes
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

from .program import IMAGE

CONFIG = 'application/vnd.oci.image.config.v1+json'
MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def member(name, data=b'', kind=tarfile.REGTYPE, mode=0o644, link='', uid=0, gid=0, mtime=0, **more):
    """One entry of a layer: (TarInfo, its bytes)."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.uid, info.gid, info.mtime = kind, mode, link, uid, gid, mtime
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def directory(name, mode=0o755, **more):
    return member(name, kind=tarfile.DIRTYPE, mode=mode, **more)


def symlink(name, target):
    return member(name, kind=tarfile.SYMTYPE, mode=0o777, link=target)


def hardlink(name, target):
    return member(name, kind=tarfile.LNKTYPE, link=target)


def layer(*members, format=tarfile.PAX_FORMAT):
    """The bytes of a layer's tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


class Layout:
    """An OCI layout directory that is being written."""

    def __init__(self, path):
        self.path = path
        os.makedirs(f'{path}/blobs/sha256')
        with open(f'{path}/oci-layout', 'w') as f:
            json.dump({'imageLayoutVersion': '1.0.0'}, f)

    def blob(self, data, media, name=None):
        """Adds a blob; name: under a digest that is not its own."""
        digest = name or sha256(data)
        with open(f'{self.path}/blobs/sha256/{digest}', 'wb') as f:
            f.write(data)
        return {'mediaType': media, 'digest': 'sha256:' + digest, 'size': len(data)}

    def blob_json(self, value, media):
        return self.blob(json.dumps(value, sort_keys=True).encode(), media)

    def finish(self, layers, diff_ids, config=None, platform=None, architecture='amd64'):
        described = self.blob_json(
            {'architecture': architecture, 'os': 'linux', 'config': config or {},
             'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + d for d in diff_ids]}}, CONFIG)
        manifest = self.blob_json({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': described,
                                   'layers': layers}, MANIFEST)
        if platform:
            manifest['platform'] = platform
        manifest['annotations'] = {'org.opencontainers.image.ref.name': 'latest'}
        self.index([manifest])
        return 'oci:' + self.path

    def index(self, manifests):
        with open(f'{self.path}/index.json', 'w') as f:
            json.dump({'schemaVersion': 2, 'manifests': manifests}, f)


def image(path, tars, config=None, packed=True, **more):
    """An honest image of these layers (bytes of tars); its reference."""
    layout = Layout(path)
    layers = [layout.blob(gzip.compress(tar, 1, mtime=0), LAYER + '+gzip') if packed else layout.blob(tar, LAYER)
              for tar in tars]
    return layout.finish(layers, [sha256(tar) for tar in tars], config, **more)


def load(path, digest):
    with open(f'{path}/blobs/sha256/{digest.removeprefix("sha256:")}') as f:
        return json.load(f)


def debian_parts():
    """(manifest, config) of the Debian image."""
    with open(f'{IMAGE}/index.json') as f:
        manifest = load(IMAGE, json.load(f)['manifests'][0]['digest'])
    return manifest, load(IMAGE, manifest['config']['digest'])


def over_debian(path, config, tars=()):
    """The Debian image with another config, and layers over it. Without layers its root file system is the same,
    and so in the store already."""
    manifest, below = debian_parts()
    layout = Layout(path)
    for part in manifest['layers']:
        name = part['digest'].removeprefix('sha256:')
        os.symlink(f'{IMAGE}/blobs/sha256/{name}', f'{path}/blobs/sha256/{name}')
    layers = manifest['layers'] + [layout.blob(gzip.compress(tar, 1, mtime=0), LAYER + '+gzip') for tar in tars]
    diff_ids = [d.removeprefix('sha256:') for d in below['rootfs']['diff_ids']] + [sha256(tar) for tar in tars]
    return layout.finish(layers, diff_ids, config)


def zstd(data):
    """One zstd frame, by the library: Python has none of its own."""
    library = ctypes.CDLL('libzstd.so.1')
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    room = library.ZSTD_compressBound(len(data))
    out = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(out, room, data, len(data), 3)
    return out.raw[:size]


PRINTER = r'''
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void show(const char *path)
{
	char link[256] = "";
	struct stat s;
	FILE *f;
	int c;

	if (lstat(path, &s) < 0) {
		printf("%s: not there\n", path);
		return;
	}
	printf("%s: mode %o uid %u gid %u links %lu size %lld mtime %lld.%09ld rdev %u:%u", path, s.st_mode,
		s.st_uid, s.st_gid, (unsigned long)s.st_nlink, S_ISDIR(s.st_mode) ? 0LL : (long long)s.st_size,
		(long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (unsigned)(s.st_rdev >> 8 & 255),
		(unsigned)(s.st_rdev & 255));
	if (S_ISLNK(s.st_mode) && readlink(path, link, sizeof link - 1) > 0)
		printf(" to %s", link);
	if (S_ISREG(s.st_mode) && s.st_size < 200 && (f = fopen(path, "r"))) {
		printf(" holds ");
		while ((c = getc(f)) != EOF)
			printf(c > 32 && c < 127 ? "%c" : "\\x%02x", c);
		fclose(f);
	}
	printf("\n");
}
int main(int argc, char **argv)
{
	struct dirent *e;
	DIR *d;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-')
			show(argv[i]);
		else if ((d = opendir(argv[i] + 1)))
			while ((e = readdir(d)))
				if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
					printf("entry %s\n", e->d_name);
	return argc == 1 ? (puts("hello from a small image"), 0) : 0;
}
'''
_printer = None


def printer(folder):
    """A static program for images that hold nothing else: it tells about the paths it is given ("-DIR": names
    in DIR). Its bytes."""
    global _printer
    if _printer is None:
        source, program = f'{folder}/printer.c', f'{folder}/printer'
        with open(source, 'w') as f:
            f.write(PRINTER)
        subprocess.run(['musl-gcc', '-static', '-O1', '-s', '-o', program, source], check=True, capture_output=True)
        with open(program, 'rb') as f:
            _printer = f.read()
    return _printer
