# SPDX-License-Identifier: Apache-2.0
"""Images for pulls, in every form that registries hold, put there by skopeo or byte by byte; and trees: what umoci
unpacks, and what stands in a sandbox, told by the same program, so that the two can be compared entry by entry."""
import collections
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile

from . import images
from .images import CONFIG, LAYER, MANIFEST, Layout, directory, hardlink, layer, member, sha256, symlink

INDEX = 'application/vnd.oci.image.index.v1+json'
EMPTY = 'application/vnd.oci.empty.v1+json'
DOCKER = 'application/vnd.docker.'
DOCKER_MANIFEST = DOCKER + 'distribution.manifest.v2+json'
DOCKER_LIST = DOCKER + 'distribution.manifest.list.v2+json'
DOCKER_LAYER = DOCKER + 'image.rootfs.diff.tar.gzip'
DOCKER_CONFIG = DOCKER + 'container.image.v1+json'

# ---- trees ----

# Tells about every entry below a folder and does not cross into other file systems. A line is: path, mode, uid, gid,
# links, size, SHA-256, target, device number, seconds, nanoseconds, extended attributes, device and inode; texts in %XX.
TREE = r'''
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
static char path[16384];
static dev_t device;
static int root;

static void text(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf((unsigned char)s[i] > 32 && (unsigned char)s[i] < 127 && s[i] != '%' ? "%c" : "%%%02x",
			(unsigned char)s[i]);
	putchar('\t');
}

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
	0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
	0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#define R(x, n) ((x) >> (n) | (x) << (32 - (n)))

static void block(uint32_t h[8], const unsigned char *p)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] + (R(w[i - 15], 7) ^ R(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (R(w[i - 2], 17) ^ R(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(v, h, sizeof v);
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[7] + (R(v[4], 6) ^ R(v[4], 11) ^ R(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
		uint32_t b = (R(v[0], 2) ^ R(v[0], 13) ^ R(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += a;
		v[0] = a + b;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

static void digest(const char *name)
{
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	static unsigned char buffer[65536 + 128];
	uint64_t size = 0;
	size_t n = 0, pad;
	FILE *f = fopen(name, "re");

	if (!f) {
		printf("unreadable\t");
		return;
	}
	while ((n = fread(buffer, 1, 65536, f)) == 65536) {
		for (size_t i = 0; i < n; i += 64)
			block(h, buffer + i);
		size += n;
	}
	size += n;
	fclose(f);
	buffer[n++] = 0x80;
	pad = n % 64 > 56 ? 120 - n % 64 : 56 - n % 64;
	memset(buffer + n, 0, pad);
	n += pad;
	for (int i = 0; i < 8; i++)
		buffer[n++] = (unsigned char)(size * 8 >> (56 - 8 * i));
	for (size_t i = 0; i < n; i += 64)
		block(h, buffer + i);
	for (int i = 0; i < 8; i++)
		printf("%08x", h[i]);
	putchar('\t');
}

static void attributes(const char *name)
{
	static char names[65536], value[65536];
	ssize_t size = llistxattr(name, names, sizeof names), n;

	for (char *p = names; size > 0 && p < names + size; p += strlen(p) + 1) {
		n = lgetxattr(name, p, value, sizeof value);
		printf("%s=", p);
		for (ssize_t i = 0; i < n; i++)
			printf("%02x", (unsigned char)value[i]);
		putchar(';');
	}
	putchar('\t');
}

static void entry(int dir, const char *name)
{
	size_t length = strlen(path);
	char near[64], link[8192];
	struct dirent *e;
	ssize_t n = 0;
	struct stat s;
	DIR *d;
	int fd;

	if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0 || fchdir(dir) < 0) {
		fprintf(stderr, "%s/%s\n", path, name);
		exit(1);
	}
	if (length + strlen(name) + 2 > sizeof path)
		exit(2);
	if (dir != root || strcmp(name, "."))
		sprintf(path + length, "/%s", name);
	text(*path ? path : "/", strlen(*path ? path : "/"));
	printf("%o\t%u\t%u\t%lu\t%lld\t", s.st_mode, s.st_uid, s.st_gid, (unsigned long)s.st_nlink,
		S_ISREG(s.st_mode) || S_ISLNK(s.st_mode) ? (long long)s.st_size : 0);
	if (S_ISREG(s.st_mode))
		digest(name);
	else
		putchar('\t');
	if (S_ISLNK(s.st_mode))
		n = readlink(name, link, sizeof link);
	text(link, (size_t)(n < 0 ? 0 : n));
	printf("%u:%u\t%lld\t%ld\t", major(s.st_rdev), minor(s.st_rdev), (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
	attributes(name);
	snprintf(near, sizeof near, "%llu:%llu", (unsigned long long)s.st_dev, (unsigned long long)s.st_ino);
	printf("%s\n", near);
	if (S_ISDIR(s.st_mode) && s.st_dev == device && (fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		d = fdopendir(dup(fd));
		while ((e = readdir(d)))
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				entry(fd, e->d_name);
		closedir(d);
		close(fd);
	}
	path[length] = 0;
}

int main(int argc, char **argv)
{
	struct stat s;

	root = open(argc > 1 ? argv[1] : "/", O_RDONLY | O_DIRECTORY);
	if (root < 0 || fstat(root, &s) < 0)
		return 3;
	device = s.st_dev;
	entry(root, ".");
	return fflush(stdout) != 0;
}
'''
Entry = collections.namedtuple('Entry', 'type mode uid gid links size sha256 target rdev mtime xattrs twin')
KINDS = {0o100000: 'file', 0o040000: 'directory', 0o120000: 'link', 0o020000: 'character', 0o060000: 'block',
         0o010000: 'fifo', 0o140000: 'socket'}
_made = {}


def tree_program(folder):
    """The program that tells about a tree, static; its path. In an image it stands as /tree."""
    if 'tree' not in _made:
        source, program = f'{folder}/tree.c', f'{folder}/tree'
        with open(source, 'w') as f:
            f.write(TREE)
        subprocess.run(['musl-gcc', '-static', '-O2', '-s', '-o', program, source], check=True, capture_output=True)
        _made['tree'] = program
    return _made['tree']


def tree_member(folder):
    with open(tree_program(folder), 'rb') as f:
        return member('tree', f.read(), mode=0o755)


def _words(text):
    raw = text.encode('latin-1').split(b'%')
    return (raw[0] + b''.join(bytes([int(part[:2], 16)]) + part[2:] for part in raw[1:])).decode(errors='surrogateescape')


def read_tree(text):
    """path → Entry of what the program printed. twin: the first of the paths that are the same file, None where
    there is one."""
    found, inodes = {}, collections.defaultdict(list)
    for line in text.splitlines():
        path, mode, uid, gid, links, size, digest, target, rdev, seconds, nano, xattrs, inode = line.split('\t')
        mode = int(mode, 8)
        kind = KINDS[mode & 0o170000]
        attributes = dict(pair.split('=', 1) for pair in xattrs.split(';') if pair)
        path = _words(path)
        found[path] = Entry(kind, mode & 0o7777, int(uid), int(gid), int(links) if kind != 'directory' else 0, int(size),
                            digest, _words(target), rdev if kind in ('character', 'block') else '',
                            int(seconds) * 1_000_000_000 + int(nano), attributes, None)
        if kind != 'directory':
            inodes[inode].append(path)
    for paths in inodes.values():
        for path in paths if len(paths) > 1 else ():
            found[path] = found[path]._replace(twin=min(paths))
    return found


def _numbers(data):
    """The two numbers in umoci's user.rootlesscontainers: a protobuf message of varints, field 1 the user, field 2
    the group."""
    found, i = {1: 0, 2: 0}, 0
    while i < len(data):
        field, value, shift, i = data[i] >> 3, 0, 0, i + 1
        while True:
            value, shift, i = value | (data[i] & 127) << shift, shift + 7, i + 1
            if data[i - 1] < 128:
                break
        found[field] = 0 if value == 0xffffffff else value  # that number: the owner is who unpacked
    return found[1], found[2]


def _as_of_root(tree, tars):
    """What umoci unpacked without being root, with what it only noted down, owners, or had to leave out, devices and
    capabilities, put in: the first from its notes, the others from the layers."""
    for path, entry in tree.items():
        xattrs = dict(entry.xattrs)
        uid, gid = _numbers(bytes.fromhex(xattrs.pop('user.rootlesscontainers', '')))
        tree[path] = entry._replace(uid=uid, gid=gid, xattrs=xattrs)
    for data in tars:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for info in tar:
                path = '/' + info.name.strip('/')
                if info.ischr() or info.isblk():
                    tree[path] = tree[path]._replace(type='character' if info.ischr() else 'block', sha256='',
                                                     rdev=f'{info.devmajor}:{info.devminor}')
                if 'SCHILY.xattr.security.capability' in info.pax_headers:
                    value = info.pax_headers['SCHILY.xattr.security.capability'].encode('utf-8', 'surrogateescape')
                    tree[path] = tree[path]._replace(xattrs=tree[path].xattrs | {'security.capability': value.hex()})
    return tree


def umoci_tree(layout, folder, tag='latest', tars=()):
    """The tree that umoci unpacks of a layout: path → Entry. tars: the layers, for what only root can unpack."""
    bundle, root = f'{folder}/bundle', os.geteuid() == 0
    subprocess.run(['umoci', 'unpack', *([] if root else ['--rootless']), '--image', f'{layout}:{tag}', bundle],
                   check=True, capture_output=True)
    try:
        text = subprocess.run([tree_program(folder), f'{bundle}/rootfs'], check=True, capture_output=True).stdout
        tree = read_tree(text.decode('latin-1'))
        return tree if root else _as_of_root(tree, tars)
    finally:
        subprocess.run(['chmod', '-R', 'u+rwX', bundle], check=False, capture_output=True)
        shutil.rmtree(bundle, True)


# What a sandbox has that its image does not: mount points, and the files that name the host and its resolver.
SANDBOX = {'/proc', '/sys', '/dev', '/run', '/tmp', '/etc', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf',
           '/etc/mtab', '/etc/machine-id'}


def differences(expected, found, ignore=SANDBOX):
    """Lines that tell how two trees differ; none: they are the same."""
    lines = []
    for path in sorted((set(expected) | set(found)) - ignore - {'/'}):
        one, two = expected.get(path), found.get(path)
        if one is None or two is None:
            lines.append(f'{path}: only {"in the sandbox" if one is None else "as umoci has it"}: {two or one}')
        elif one != two:
            parts = [f'{n} {a!r} and not {b!r}' for n, a, b in zip(Entry._fields, two, one) if a != b]
            lines.append(f'{path}: has {", ".join(parts)}')
    return lines


# ---- layers ----

CAPABILITY = bytes.fromhex('0100000200040000000000000000000000000000').decode()


def rich(folder):
    """The tars of three layers with all that a layer may hold, and the program that tells about it."""
    first = layer(
        tree_member(folder), directory('bin'), directory('usr'),
        directory('usr/lib', mode=0o711, mtime=1_600_000_000.123456789),
        member('usr/lib/data', b'd' * 70_000, mode=0o640, uid=1000, gid=100, mtime=1_500_000_000.5),
        hardlink('usr/lib/same', 'usr/lib/data'), symlink('usr/lib/up', '../../etc/passwd'), directory('gone'),
        directory('gone/deep'), member('gone/deep/file', b'1'), directory('opaque'), member('opaque/old', b'old'),
        directory('opaque/olddir'), member('opaque/olddir/x', b'x'), member('becomes', b'a file'), directory('turns'),
        member('turns/child', b'c'),
        member('su', b'#!', mode=0o4755), directory('sticky', mode=0o1777), member('empty'), symlink('tofar', 'x' * 200),
        member('odd \t\u00e4\n', b'odd name'), member('n' * 200, b'long'),
        *(directory('/'.join(['d' * 60] * depth)) for depth in range(1, 7)),
        member('later', b'hidden, but linked to'), hardlink('kept', 'later'), symlink('lib', 'usr/lib'),
        member('attr', b'x', pax_headers={'SCHILY.xattr.user.note': 'v\u00e4rde'}),
        member('old', b'before 1970', mtime=-86_400.25))
    second = layer(
        member('.wh.gone'), member('opaque/.wh..wh..opq'), member('opaque/new', b'new'), directory('becomes'),
        member('becomes/now', b'n'), member('turns', b'a file now'), member('usr/lib/.wh.up'), member('.wh.later'),
        member('later', b'another one', mtime=1_700_000_000.000000001), member('lib/through', b'by a link'),
        member('usr/lib/data', b'replaced'), hardlink('again', 'attr'))
    third = layer(
        directory('gone', mode=0o700), member('gone/back', b'b'), member('.wh.never'), directory('sticky', mode=0o1755),
        member('future', b'f', mtime=4_000_000_000.75), member('owned', b'o', uid=60_000, gid=60_001),
        member('pipe', kind=tarfile.FIFOTYPE, mode=0o622))
    return [first, second, third]


def devices(folder):
    """A layer with what only root can unpack: devices, capabilities, owners above 16 bits."""
    return [layer(tree_member(folder), directory('devs'),
                  member('devs/null', kind=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
                  member('devs/loop', kind=tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=7, devminor=300),
                  member('devs/caps', b'\x7fELF', mode=0o755, pax_headers={'SCHILY.xattr.security.capability': CAPABILITY}),
                  member('devs/who', b'w', uid=100_000, gid=3_000_000_000))]


def many(folder, count=110):
    """So many layers, each with a file, and each over one that hides something of the one before."""
    return [layer(tree_member(folder), *(directory(f'dir{i}') for i in range(7)))] + [
        layer(member(f'dir{i % 7}/file{i}', f'layer {i}\n'.encode() * 50), member('top', str(i).encode()),
              *([member(f'dir{(i - 1) % 7}/.wh.file{i - 1}')] if i % 5 == 0 and i else [])) for i in range(1, count)]


# ---- compression ----

def several_gzip(data, size=40_000):
    """gzip of several members, as pigz and bgzip write it."""
    return b''.join(gzip.compress(data[i:i + size], 6, mtime=0) for i in range(0, len(data), size))


def chunked_zstd(data, size=50_000):
    """zstd in several frames with skippable ones between and at the end, as zstd:chunked has them."""
    def skipped(payload):
        return struct.pack('<II', 0x184D2A50, len(payload)) + payload
    frames = [images.zstd(data[i:i + size]) for i in range(0, len(data), size)]
    return skipped(b'\0' * 4).join(frames) + skipped(json.dumps({'version': 1, 'entries': []}).encode()) \
        + skipped(struct.pack('<8Q', 1, 2, 3, 4, 5, 6, 7, 0x6e6f7268636e6572))


PACKINGS = {
    'plain': (lambda data: data, LAYER), 'gzip': (lambda data: gzip.compress(data, 6, mtime=0), LAYER + '+gzip'),
    'gzip in members': (several_gzip, LAYER + '+gzip'), 'zstd': (images.zstd, LAYER + '+zstd'),
    'zstd in chunks': (chunked_zstd, LAYER + '+zstd'),
    # The media type says less than the bytes: pullers go by the bytes.
    'gzip that is called plain': (lambda data: gzip.compress(data, 6, mtime=0), LAYER),
}


def image(path, tars, packing='gzip', config=None, **more):
    """A layout whose layers are packed in one of PACKINGS, under the name latest; its path."""
    pack, media = PACKINGS[packing]
    layout = Layout(path)
    layout.finish([layout.blob(pack(tar), media) for tar in tars], [sha256(tar) for tar in tars],
                  config or {'Cmd': ['/tree']}, **more)
    return path


def schema1(path, registry, repository, tag='latest'):
    """A manifest of docker's schema 1, made and signed by skopeo of a new image."""
    layout = Layout(path)
    tar = layer(member('a', b'hello'))
    config = layout.blob_json({'architecture': 'amd64', 'os': 'linux', 'config': {'Cmd': ['/a']}, 'history': [
        {'created': '2026-01-01T00:00:00Z', 'created_by': 'COPY a /'}], 'created': '2026-01-01T00:00:00Z',
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha256(tar)]}}, CONFIG)
    row = layout.blob_json({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': config, 'layers': [
        layout.blob(gzip.compress(tar, mtime=0), LAYER + '+gzip')]}, MANIFEST)
    layout.index([row | {'annotations': {'org.opencontainers.image.ref.name': 'latest'}}])
    skopeo_push(path, registry, repository, tag, 'v2s1')


# ---- manifests ----

class Parts:
    """Rows for an index, made into a layout one by one."""

    def __init__(self, path):
        self.layout, self.path = Layout(path), path

    def manifest(self, tars, architecture='amd64', variant=None, config=None, config_media=CONFIG, **more):
        """An image's manifest; its descriptor with a platform."""
        layers = [self.layout.blob(gzip.compress(tar, 6, mtime=0), LAYER + '+gzip') for tar in tars]
        described = self.layout.blob_json({
            'architecture': architecture, 'os': 'linux', 'config': config or {'Cmd': ['/tree']},
            'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha256(tar) for tar in tars]}}, config_media)
        row = self.layout.blob_json({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': described,
                                     'layers': layers} | more, MANIFEST)
        platform = {'architecture': architecture, 'os': 'linux'} | ({'variant': variant} if variant else {})
        return row | {'platform': platform}

    def attestation(self, row):
        """What buildkit puts beside an image: no image, for a platform that there is not."""
        statement = self.layout.blob(json.dumps({'_type': 'https://in-toto.io/Statement/v0.1'}).encode(),
                                     'application/vnd.in-toto+json')
        config = self.layout.blob_json({'architecture': 'unknown', 'os': 'unknown', 'config': {}, 'rootfs': {
            'type': 'layers', 'diff_ids': [statement['digest']]}}, CONFIG)
        made = self.layout.blob_json({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': config,
                                      'layers': [statement]}, MANIFEST)
        return made | {'platform': {'architecture': 'unknown', 'os': 'unknown'}, 'annotations': {
            'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': row['digest']}}

    def artifact(self, subject=None, kind='application/vnd.example.sbom.v1', data=b'{"sbom": true}'):
        """A manifest that is no image; with a subject, it refers to that."""
        empty = self.layout.blob(b'{}', EMPTY)
        body = {'schemaVersion': 2, 'mediaType': MANIFEST, 'artifactType': kind, 'config': empty,
                'layers': [self.layout.blob(data, 'application/json')]}
        if subject:
            body['subject'] = {k: subject[k] for k in ('mediaType', 'digest', 'size')}
        return self.layout.blob_json(body, MANIFEST) | {'artifactType': kind}

    def index(self, rows, **more):
        return self.layout.blob_json({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': rows} | more, INDEX)

    def finish(self, row):
        """The layout's one image; its path."""
        self.layout.index([{k: v for k, v in row.items() if k != 'platform'}
                           | {'annotations': {'org.opencontainers.image.ref.name': 'latest'}}])
        return self.path


def manifest_of(layout):
    """(descriptor, value) of a layout's first image."""
    with open(f'{layout}/index.json') as f:
        row = json.load(f)['manifests'][0]
    return row, images.load(layout, row['digest'])


def layers_of(layout):
    """Descriptors of the layers of a layout's image."""
    return manifest_of(layout)[1]['layers']


# ---- into registries ----

def skopeo(*words, check=True, env=None):
    done = subprocess.run(['skopeo', '--insecure-policy', *words], capture_output=True, text=True, timeout=60,
                          env=os.environ | (env or {}))
    if check and done.returncode:
        raise AssertionError(f'skopeo {" ".join(words)}: {done.stderr}')
    return done


def skopeo_push(layout, registry, repository, tag='latest', form=None, user=None, everything=False):
    """By skopeo; form: oci, v2s1, v2s2 (it then packs and describes the image anew)."""
    trust = ['--dest-tls-verify=false'] if not registry.ca else ['--dest-cert-dir', os.path.dirname(registry.ca)]
    skopeo('copy', '-q', *trust, *(['--format', form] if form else []), *(['--all'] if everything else []),
           *(['--dest-creds', ':'.join(user)] if user else []), f'oci:{layout}:latest',
           f'docker://{registry.host}/{repository}:{tag}')


def push(layout, registry, repository, tag='latest', user=None):
    """Byte for byte as the layout has it: blobs, then manifests, children first. The digest under the tag."""
    row, _ = manifest_of(layout)
    _push_row(layout, registry, repository, row, tag, user)
    return row['digest']


def _read(layout, digest):
    with open(f'{layout}/blobs/sha256/{digest.removeprefix("sha256:")}', 'rb') as f:
        return f.read()


def _push_row(layout, registry, repository, row, reference, user):
    data = _read(layout, row['digest'])
    value = json.loads(data)
    for child in value.get('manifests', []):
        with contextlib.suppress(FileNotFoundError):
            _push_row(layout, registry, repository, child, child['digest'], user)
    for blob in ([value['config']] if 'config' in value else []) + value.get('layers', []):
        if not registry.has_blob(repository, blob['digest'], user):
            registry.put_blob(repository, _read(layout, blob['digest']), user)
    registry.put_manifest(repository, reference, data, row['mediaType'], user)


def refer(layout, registry, repository, row, user=None):
    """Puts a manifest with a subject, and where the registry has no list of referrers the tag that stands for it."""
    _push_row(layout, registry, repository, row, row['digest'], user)
    subject = images.load(layout, row['digest'])['subject']
    tag = subject['digest'].replace(':', '-')
    known = registry.manifest(repository, tag, user)
    rows = json.loads(known[0])['manifests'] if known else []
    index = json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': rows + [row]}).encode()
    registry.put_manifest(repository, tag, index, INDEX, user)
    return tag


def random_layer(name, size):
    """A layer with bytes that do not pack."""
    return layer(member(name, os.urandom(size)))


def digest_of(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()
