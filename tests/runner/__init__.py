# SPDX-License-Identifier: Apache-2.0
"""What tests/run is made of: place.py (users and the folder they see), tap.py, job.py, collect.py."""
