#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What only root can unpack, devices, owners and capabilities, beside umoci as root: the tree in a sandbox of a pulled
image is the same, entry by entry."""
import atexit
import os
import shutil
import tempfile

from harness import oci_images, tap
from harness.oci_images import differences, read_tree, umoci_tree
from harness.program import Monocore
from harness.registry import Registry
from harness.tap import equal, promise

folder = tempfile.mkdtemp(prefix='mc-root-pull-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
registry = Registry(f'{folder}/registry')
mc = Monocore()


@promise('devices, owners, capabilities and all the rest are as umoci unpacks them as root')
def _():
    for name, tars in (('rich', oci_images.rich(folder)), ('devices', oci_images.devices(folder))):
        path = oci_images.image(f'{folder}/{name}', tars)
        oci_images.push(path, registry, name)
        expected = umoci_tree(path, folder)
        found = read_tree(mc('tmp', '-q', f'{registry.host}/{name}', timeout=80).ok().raw.decode('latin-1'))
        equal(differences(expected, found), [], name)
        mc('rmi', f'{registry.host}/{name}').ok()


def finish():
    registry.close()
    return mc.clean()


tap.main(finish)
