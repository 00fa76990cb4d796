# SPDX-License-Identifier: Apache-2.0
"""Whether the program takes connections."""
import socket

socket.create_connection(('127.0.0.1', 8080), 5).close()
