# SPDX-License-Identifier: Apache-2.0
"""Counts visitors: each GET is a row in PostgreSQL, and the last one's name is kept in Redis."""
import http.server
import json
import os
import urllib.parse

import psycopg2
import redis

DATABASE = {'host': 'database', 'user': os.environ['POSTGRES_USER'], 'password': os.environ['POSTGRES_PASSWORD'],
            'dbname': os.environ['POSTGRES_DB']}


class Visits:
    def __init__(self):
        self.database = psycopg2.connect(**DATABASE)
        self.database.autocommit = True
        self.cache = redis.Redis(host='cache')
        with self.database.cursor() as c:
            c.execute('CREATE TABLE IF NOT EXISTS visits (who text, at timestamptz DEFAULT now())')

    def note(self, who):
        """The visitor before, and how many there were with this one."""
        before = self.cache.getset('last', who)
        with self.database.cursor() as c:
            c.execute('INSERT INTO visits (who) VALUES (%s)', (who,))
            c.execute('SELECT count(*) FROM visits')
            return before.decode() if before else None, c.fetchone()[0]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.urlparse(self.path).query
        before, count = VISITS.note(urllib.parse.parse_qs(query).get('who', ['somebody'])[0])
        text = json.dumps({'visits': count, 'before': before}).encode() + b'\n'
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)


VISITS = Visits()
http.server.HTTPServer(('0.0.0.0', 8080), Handler).serve_forever()
