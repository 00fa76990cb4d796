# SPDX-License-Identifier: Apache-2.0
"""A notebook: each POST is a cell of Python, run in one name space that stays; the answer is what it printed, and the
value of its last line. GET is a page to type cells into."""
import ast
import contextlib
import http.server
import io
import traceback

PAGE = b'''<!doctype html><meta charset="utf-8"><title>notebook</title>
<style>body { font: 16px monospace; margin: 2em auto; max-width: 50em } textarea { width: 100%; font: inherit }</style>
<div id="cells"></div><textarea id="cell" rows="4" autofocus placeholder="Python; Ctrl-Enter runs it"></textarea>
<script>
const cell = document.getElementById('cell')
cell.addEventListener('keydown', async (key) => {
  if (!key.ctrlKey || key.key !== 'Enter') return
  const answer = await fetch('/', { method: 'POST', body: cell.value })
  const shown = document.createElement('pre')
  shown.textContent = '>>> ' + cell.value + '\\n' + await answer.text()
  document.getElementById('cells').append(shown)
  cell.value = ''
})
</script>
'''
NAMES = {'__name__': '__main__'}


def run(source):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            tree = ast.parse(source, '<cell>')
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, '<cell>', 'exec'), NAMES)
            if last:
                value = eval(compile(ast.Expression(last.value), '<cell>', 'eval'), NAMES)
                if value is not None:
                    print(repr(value))
        except BaseException:  # a cell may even ask to exit
            traceback.print_exc(limit=-1)
    return output.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, kind, text):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.answer('text/html', PAGE)

    def do_POST(self):
        source = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        self.answer('text/plain; charset=utf-8', run(source).encode())


http.server.HTTPServer(('0.0.0.0', 8888), Handler).serve_forever()
