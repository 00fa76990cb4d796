# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: tap.py (promises and their report), program.py (monocore as a user starts it),
images.py (images, honest and hostile), terminal.py (a program on a pseudo terminal), state.py (what is left)."""
