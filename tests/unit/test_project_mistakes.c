/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong files, each with the first thing that is said of it. */
#include <stdlib.h>

#include "project_files.h"
#include "test.h"

static const struct memory_file files[] = {
	{"/p/dir", NULL, NULL},
	{"/p/broken.env", "GOOD=1\nthis is no assignment\n", NULL},
	{"/p/quoted.env", "GOOD=1\nA=\"open\n", NULL},
	{"/p/db/monocore.yaml",
		"sandboxes:\n  postgres: {image: postgres, depends_on: [init]}\n  init: {image: busybox}\n",
		NULL},
	{"/p/circle.yaml", "modules: {other.yaml: {a: }}\nsandboxes: {a: {image: x}}\n", NULL},
	{"/p/other.yaml", "modules: {circle.yaml: {a: }}\nsandboxes: {a: {image: x}}\n", NULL},
	{"/p/wrong.yaml", "sandboxes: {a: {imge: x}}\n", NULL},
};
static const struct memory_project memory = {.files = files, .count = sizeof files / sizeof *files};

#define IN_WEB(line)   "sandboxes:\n  web:\n    image: python\n    " line "\n"
#define IN_BUILD(line) "builds:\n  app:\n    image: debian\n    " line "\n"

static const struct wrong {
	const char *text, *told;
} wrong[] = {
	{"sandboxes:\n\011web: {image: x}\n", "monocore.yaml:2:1: a tab cannot indent a line; write spaces"},
	{"a: b: c\n", "monocore.yaml:1:5: a key and its value cannot begin here; is the line indented as "
		      "those beside it, or does a text with ': ' lack its quotes?"},
	{"sandboxes: [a, b\n", "monocore.yaml:1:12: this '[' is not closed, or a ',' is missing in it"},
	{"sandboxes: {web: {image: x}\n",
		"monocore.yaml:1:12: this '{' is not closed, or a ',' is missing in it"},
	{"meta: {description: \"a shop}\n", "monocore.yaml:1:21: this quote is not closed"},
	{"meta: {description: 'a shop}\n", "monocore.yaml:1:21: this quote is not closed"},
	{"meta: {description: @shop}\n", "monocore.yaml:1:21: a text that begins with '@' needs quotes"},
	{"meta: {description: `shop`}\n", "monocore.yaml:1:21: a text that begins with '`' needs quotes"},
	{"meta: {description: %shop}\n", "monocore.yaml:1:21: a text that begins with '%' needs quotes"},
	{"meta:\n  description: a\n readme: b\n",
		"monocore.yaml:3:2: expected a key that is indented as those before it"},
	{"meta:\n  description a\n  readme: b\n",
		"monocore.yaml:3:9: a key and its value cannot begin here; is the line indented as those "
		"beside it, or does a text with ': ' lack its quotes?"},
	{"meta:\n  description: \"a\\q\"\n",
		"monocore.yaml:2:18: there is no such escape in double quotes; write '\\\\' for a backslash"},
	{"meta: *nowhere\n", "monocore.yaml:1:7: there is no '&nowhere' before this"},
	{"meta: &m {tags: [*m]}\n", "monocore.yaml:1:18: '*m' stands within '&m' itself"},
	{"meta: {tags: !secret x}\n", "monocore.yaml:1:14: the tag '!secret' has no meaning here"},
	{"meta: {}\n---\nmeta: {}\n",
		"monocore.yaml:2:1: a second document begins here, and a project is one"},
	{"meta: {}\n...\nmeta: {}\n", "monocore.yaml:3:1: nothing can stand behind the end of the document"},
	{"%YAML 3.0\n---\nmeta: {}\n", "monocore.yaml:1:1: this is another version of YAML than 1.1 or 1.2"},
	{"meta: {description: \"\\0\"}\n", "monocore.yaml:1:21: a NUL byte cannot stand in text"},
	{"meta: {description: a\001b}\n",
		"monocore.yaml:1:22: a control character (0x01) cannot stand in YAML"},
	{"meta: {description: \377}\n", "monocore.yaml:1:21: this is no UTF-8 (0xff)"},
	{"meta: {description: \303\244\377}\n", "monocore.yaml:1:22: this is no UTF-8 (0xff)"},
	{"? [a]\n: b\n", "monocore.yaml:1:3: a key has to be text"},
	{"[a]: b\n", "monocore.yaml:1:1: a key has to be text"},
	{"meta: }\n", "monocore.yaml:1:7: expected a value here"},
	{"meta: - a\n", "monocore.yaml:1:7: a list cannot begin here; its '-' stands in a line of its own"},
	{"meta:\n- description\n", "monocore.yaml:2:1: 'meta': expected a mapping, got a list"},
	{"just words\n",
		"monocore.yaml:1:1: expected a mapping of meta, modules, builds, sandboxes and groups"},
	{"- a\n- b\n",
		"monocore.yaml:1:1: expected a mapping of meta, modules, builds, sandboxes and groups"},
	{"x-a: &a [1]\nmeta:\n  <<: *a\n", "monocore.yaml:1:10: '<<' merges mappings, and this is none"},
	{"meta:\n  <<: text\n", "monocore.yaml:2:7: '<<' merges mappings, and this is none"},
	{"meta: {description: a, description: b}\n",
		"monocore.yaml:1:24: 'description' stands here twice; the first is in line 1"},
	{"sandboxes:\n  web: {image: a}\n  web: {image: b}\n",
		"monocore.yaml:3:3: 'web' stands here twice; the first is in line 2"},
	{"meta: "
	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
		"monocore.yaml:1:70: this is nested more than 64 deep"},
	{"sandboxs: {}\n", "monocore.yaml:1:1: unknown key 'sandboxs'; did you mean 'sandboxes'?"},
	{"services: {}\n", "monocore.yaml:1:1: unknown key 'services'; it is 'sandboxes' here"},
	{"networks: {}\n", "monocore.yaml:1:1: unknown key 'networks'; it is 'groups' here"},
	{"include: {}\n", "monocore.yaml:1:1: unknown key 'include'; it is 'modules' here"},
	{"nonsense: 1\n", "monocore.yaml:1:1: unknown key 'nonsense'; there are meta, modules, builds, "
			  "sandboxes, groups"},
	{IN_WEB("imge: x"), "monocore.yaml:4:5: unknown key 'imge'; did you mean 'image'?"},
	{IN_WEB("environment: {A: b}"), "monocore.yaml:4:5: unknown key 'environment'; it is 'envs' here"},
	{IN_WEB("command: sleep"),
		"monocore.yaml:4:5: unknown key 'command'; it is 'scripts: {start: ...}' here"},
	{IN_WEB("mem_limit: 1G"), "monocore.yaml:4:5: unknown key 'mem_limit'; it is 'ram' here"},
	{IN_WEB("working_dir: /x"), "monocore.yaml:4:5: unknown key 'working_dir'; it is 'workdir' here"},
	{IN_WEB("zzzzzz: 1"), "monocore.yaml:4:5: unknown key 'zzzzzz'; there are image, ram, cpus, volumes, "
			      "envs, env_file, depends_on, workdir, user, shell, scripts, imports, exports, "
			      "reach, network, disk, ports, groups, restart, healthcheck, labels, proxy"},
	{IN_WEB("proxy: {type: handler}"), "monocore.yaml:4:5: 'proxy' is not yet available in this version"},
	{IN_WEB("reach: local") "    scope: local\n",
		"monocore.yaml:5:5: 'scope' is another word for 'reach', which stands here too"},
	{"sandboxes:\n  web: {ram: 512}\n", "monocore.yaml:2:3: 'web' lacks 'image'"},
	{"sandboxes:\n  web:\n", "monocore.yaml:2:7: 'web': expected a mapping with image, got nothing"},
	{"sandboxes:\n  web: python\n",
		"monocore.yaml:2:8: 'web': expected a mapping with image, got 'python'"},
	{"sandboxes: [web]\n",
		"monocore.yaml:1:12: 'sandboxes': expected a mapping of names to sandboxes, got a list"},
	{"sandboxes: web\n",
		"monocore.yaml:1:12: 'sandboxes': expected a mapping of names to sandboxes, got 'web'"},
	{"builds:\n  app: {steps: [make]}\n", "monocore.yaml:2:3: 'app' lacks 'image'"},
	{"meta: {tag: x}\n", "monocore.yaml:1:8: unknown key 'tag'; did you mean 'tags'?"},
	{"meta: {description: [a]}\n", "monocore.yaml:1:21: 'description': expected text, got a list"},
	{"meta: {description: {a: b}}\n", "monocore.yaml:1:21: 'description': expected text, got a mapping"},
	{"meta: {tags: {a: b}}\n",
		"monocore.yaml:1:14: 'tags': expected a text, or a list of texts, got a mapping"},
	{"meta: {description: }\n", "monocore.yaml:1:21: 'description': expected text, got nothing"},
	{"sandboxes:\n  Web: {image: x}\n", "monocore.yaml:2:3: 'Web' cannot be a name: a-z, 0-9, '-' and "
					    "'_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  -web: {image: x}\n", "monocore.yaml:2:3: '-web' cannot be a name: a-z, 0-9, '-' and "
					     "'_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  web_: {image: x}\n", "monocore.yaml:2:3: 'web_' cannot be a name: a-z, 0-9, '-' and "
					     "'_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  a.b: {image: x}\n", "monocore.yaml:2:3: 'a.b' cannot be a name: a-z, 0-9, '-' and "
					    "'_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  \"\": {image: x}\n", "monocore.yaml:2:3: '' cannot be a name: a-z, 0-9, '-' and '_', "
					     "a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  \"a b\": {image: x}\n", "monocore.yaml:2:3: 'a b' cannot be a name: a-z, 0-9, '-' "
						"and '_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz: {image: x}\n",
		"monocore.yaml:2:3: 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' cannot be a name: "
		"a-z, 0-9, '-' and '_', a letter or digit at both ends, at most 40"},
	{"sandboxes:\n  web:\n    image: \"\"\n", "monocore.yaml:3:12: 'image': expected an image, a build's "
						  "name or a path, got an empty text"},
	{"sandboxes:\n  web:\n    image: Python\n", "monocore.yaml:3:12: 'image': image 'Python': repository "
						    "names are lower case: did you mean 'python'?"},
	{"sandboxes:\n  web:\n    image: \"a b\"\n",
		"monocore.yaml:3:12: 'image': image 'a b': 'a b' is no repository: it has characters other "
		"than a-z, 0-9, '.', '_', '-' and '/'"},
	{"sandboxes:\n  web:\n    image: \n",
		"monocore.yaml:3:11: 'image': expected an image, a build's name or a path, got nothing"},
	{"sandboxes:\n  web:\n    image: [a]\n",
		"monocore.yaml:3:12: 'image': expected an image, a build's name or a path, got a list"},
	{"sandboxes:\n  web:\n    image: \"python:\"\n",
		"monocore.yaml:3:12: 'image': image 'python:': the tag behind ':' is empty"},
	{IN_WEB("ram: lots"), "monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, got 'lots'"},
	{IN_WEB("ram: 0"),
		"monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, and more than 0"},
	{IN_WEB("ram: -5"), "monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, got '-5'"},
	{IN_WEB("ram: 010"), "monocore.yaml:4:10: 'ram': expected at least 128M, got '010'"},
	{IN_WEB("ram: 2T"), "monocore.yaml:4:10: 'ram': '2T' is too large"},
	{IN_WEB("disk: 15M"), "monocore.yaml:4:11: 'disk': expected at least 16M, got '15M'"},
	{IN_WEB("ram: 99999999999999T"), "monocore.yaml:4:10: 'ram': '99999999999999T' is too large"},
	{IN_WEB("ram: [1]"), "monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, got a list"},
	{IN_WEB("ram: true"), "monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, got 'true'"},
	{IN_WEB("cpus: 0"), "monocore.yaml:4:11: 'cpus': expected a number from 1 to 64, got 0"},
	{IN_WEB("cpus: 1.5"), "monocore.yaml:4:11: 'cpus': expected a number, got '1.5'"},
	{IN_WEB("cpus: two"), "monocore.yaml:4:11: 'cpus': expected a number, got 'two'"},
	{IN_WEB("cpus: 1000"), "monocore.yaml:4:11: 'cpus': expected a number from 1 to 64, got 1000"},
	{IN_WEB("disk: 10X"), "monocore.yaml:4:11: 'disk': expected a size such as 512M or 1GiB, got '10X'"},
	{IN_WEB("workdir: app"), "monocore.yaml:4:14: 'workdir': expected a path in the sandbox that begins "
				 "with '/', got 'app'"},
	{IN_WEB("reach: publik"), "monocore.yaml:4:12: 'reach': expected none, local, public or any, got "
				  "'publik'; did you mean 'public'?"},
	{IN_WEB("reach: everything"),
		"monocore.yaml:4:12: 'reach': expected none, local, public or any, got 'everything'"},
	{IN_WEB("reach: no"), "monocore.yaml:4:12: 'reach': expected none, local, public or any, got 'no'"},
	{IN_WEB("restart: allways"),
		"monocore.yaml:4:14: 'restart': expected no, on-failure, on-failure:TIMES, always or "
		"unless-stopped, got 'allways'; did you mean 'always'?"},
	{IN_WEB("restart: false"), "monocore.yaml:4:14: 'restart': expected no, on-failure, "
				   "on-failure:TIMES, always or unless-stopped, got 'false'"},
	{IN_WEB("restart: on-failure:x"),
		"monocore.yaml:4:14: 'restart': expected no, on-failure, on-failure:TIMES, always or "
		"unless-stopped, got 'on-failure:x'; did you mean 'on-failure'?"},
	{IN_WEB("restart: on-failure:0"),
		"monocore.yaml:4:14: 'restart': expected no, on-failure, on-failure:TIMES, always or "
		"unless-stopped, got 'on-failure:0'; did you mean 'on-failure'?"},
	{IN_WEB("volumes: ./a:/b"),
		"monocore.yaml:4:14: 'volumes': expected a list of SOURCE:PATH[:OPTIONS], got './a:/b'"},
	{IN_WEB("volumes: [./a]"), "monocore.yaml:4:15: 'volumes': expected SOURCE:PATH[:OPTIONS], such as "
				   "./src:/app:ro or data:/var/lib/data, got './a'"},
	{IN_WEB("volumes: [a:b]"),
		"monocore.yaml:4:15: 'volumes': expected SOURCE:PATH[:OPTIONS], such as ./src:/app:ro or "
		"data:/var/lib/data, got 'a:b': the path in the sandbox begins with '/'"},
	{IN_WEB("volumes: [\"./a:/b:rw,ro\"]"),
		"monocore.yaml:4:15: 'volumes': 'ro' and 'rw' cannot stand together"},
	{IN_WEB("volumes: [\"./a:/b:ro,ro\"]"),
		"monocore.yaml:4:15: 'volumes': the option 'ro' stands there twice"},
	{IN_WEB("volumes: [\"./a:/b:read\"]"), "monocore.yaml:4:15: 'volumes': unknown option 'read' of a "
					       "volume; there are ro, rw, squash, nocopy and stage"},
	{IN_WEB("volumes: [\"./a:/b:\"]"), "monocore.yaml:4:15: 'volumes': unknown option '' of a volume; "
					   "there are ro, rw, squash, nocopy and stage"},
	{IN_WEB("volumes: [\"./a:/b:r0\"]"),
		"monocore.yaml:4:15: 'volumes': unknown option 'r0' of a volume; did you mean 'ro'?"},
	{IN_WEB("volumes: [\":/b\"]"), "monocore.yaml:4:15: 'volumes': expected SOURCE:PATH[:OPTIONS], such "
				       "as ./src:/app:ro or data:/var/lib/data, got ':/b'"},
	{IN_WEB("volumes: [a/b:/c]"), "monocore.yaml:4:15: 'volumes': 'a/b' can be neither a path, which "
				      "begins with './', '/' or '~', nor a volume's name"},
	{IN_WEB("volumes: [monofs://n:/n]"),
		"monocore.yaml:4:15: 'volumes': 'n' is no path, which begins with './', '/' or '~'"},
	{IN_WEB("volumes: [./a:/x, b:/x/]"), "monocore.yaml:4:23: '/x' is mounted already, by line 4"},
	{IN_WEB("volumes: [\"~nobody/x:/x\"]"), "monocore.yaml:4:15: '~nobody/x': another user's home has no "
						"short form here; write its path"},
	{IN_WEB("volumes: ['./a:/']"),
		"monocore.yaml:4:15: 'volumes': a volume cannot be the root of the sandbox"},
	{IN_WEB("volumes: ['./a:/proc/x']"),
		"monocore.yaml:4:15: 'volumes': volume /proc/x: /proc is the sandbox's kernel's"},
	{IN_WEB("volumes: ['./a:/b/../c']"),
		"monocore.yaml:4:15: 'volumes': '/b/../c': the place in the sandbox has a '..'"},
	{IN_WEB("volumes: ['./a:/b:nocopy']"),
		"monocore.yaml:4:15: 'volumes': 'nocopy' is for volumes that have names"},
	{IN_WEB("volumes: [12]"), "monocore.yaml:4:15: 'volumes': expected SOURCE:PATH[:OPTIONS], such as "
				  "./src:/app:ro or data:/var/lib/data, got '12'"},
	{IN_WEB("ports: 80"),
		"monocore.yaml:4:12: 'ports': expected a list of [ADDRESS:][HOST:]GUEST, got '80'"},
	{IN_WEB("ports: [http]"), "monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], "
				  "such as \"8080:80\", got 'http'"},
	{IN_WEB("ports: [\"8080:80/icmp\"]"),
		"monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], such as "
		"\"8080:80\", got '8080:80/icmp'"},
	{IN_WEB("ports: [\"70000:80\"]"),
		"monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], such as "
		"\"8080:80\", got '70000:80'"},
	{IN_WEB("ports: [\"1-3:1-2\"]"),
		"monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], such as "
		"\"8080:80\", got '1-3:1-2'"},
	{IN_WEB("ports: [\"localhost:80:80\"]"),
		"monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], such as "
		"\"8080:80\", got 'localhost:80:80'"},
	{IN_WEB("ports: [{target: 80}]"),
		"monocore.yaml:4:13: 'ports': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp], such as "
		"\"8080:80\", got a mapping"},
	{IN_WEB("ports: [\"8080:80\", \"8080:81\"]"),
		"monocore.yaml:2:3: 'web' wants the port 8080 of the host twice"},
	{"sandboxes:\n  a: {image: x, ports: [\"8080:80\"]}\n  b: {image: x, ports: [\"0.0.0.0:8080:80\"]}\n",
		"monocore.yaml:3:3: 'a' and 'b' both want the port 8080 of the host"},
	{IN_WEB("envs: A=b"),
		"monocore.yaml:4:11: 'envs': expected a list of KEY=value, or a mapping, got 'A=b'"},
	{IN_WEB("envs: [\"=b\"]"), "monocore.yaml:4:12: 'envs': expected KEY=value, or KEY alone, got '=b'"},
	{IN_WEB("envs: [\"A B=c\"]"),
		"monocore.yaml:4:12: 'envs': expected KEY=value, or KEY alone, got 'A B=c'"},
	{IN_WEB("envs: {A B: c}"), "monocore.yaml:4:12: 'A B' cannot be the name of a variable"},
	{IN_WEB("envs: {A: [b]}"), "monocore.yaml:4:15: 'A': expected a value, got a list"},
	{IN_WEB("envs: [{A: b}]"),
		"monocore.yaml:4:12: 'envs': expected KEY=value, or KEY alone, got a mapping"},
	{IN_WEB("envs: {\"\": c}"), "monocore.yaml:4:12: '' cannot be the name of a variable"},
	{IN_WEB("env_file: none.env"),
		"monocore.yaml:4:15: env_file: open '/p/none.env': No such file or directory"},
	{IN_WEB("env_file: {a: b}"),
		"monocore.yaml:4:15: 'env_file': expected a path, or a list of paths, got a mapping"},
	{IN_WEB("env_file: broken.env"), "broken.env:2:1: expected KEY=value"},
	{IN_WEB("env_file: quoted.env"), "quoted.env:2:3: this quote is not closed"},
	{IN_WEB("env_file: dir"), "monocore.yaml:4:15: env_file: read '/p/dir': it is no regular file"},
	{IN_WEB("depends_on: [nobody]"), "monocore.yaml:4:18: there is no sandbox or build 'nobody'"},
	{IN_WEB("depends_on: [web]"), "monocore.yaml:4:18: 'web' depends on itself"},
	{IN_WEB("depends_on: {db: {condition: healthy}}"),
		"monocore.yaml:4:17: 'depends_on': expected a component's name, or a list of these, got a "
		"mapping"},
	{"sandboxes:\n  web: {image: x, depends_on: [bd]}\n  db: {image: x}\n",
		"monocore.yaml:2:32: there is no sandbox or build 'bd'; did you mean 'db'?"},
	{"sandboxes:\n  web: {image: x, depends_on: [db, db]}\n  db: {image: x}\n",
		"monocore.yaml:2:36: 'db' stands here twice"},
	{"sandboxes:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
		"monocore.yaml:3:30: this is a circle: a \342\206\222 b \342\206\222 a"},
	{"builds:\n  a: {image: b}\n  b: {image: a}\n",
		"monocore.yaml:3:14: this is a circle: a \342\206\222 b \342\206\222 a"},
	{"builds:\n  a: {image: x, depends_on: [web]}\nsandboxes:\n  web: {image: x}\n",
		"monocore.yaml:2:30: there is no build 'web'"},
	{IN_WEB("scripts: {\"a b\": x}"),
		"monocore.yaml:4:15: 'a b' cannot be a name: letters, digits, '-' and '_', at most 64"},
	{IN_WEB("scripts: [start]"),
		"monocore.yaml:4:14: 'scripts': expected a mapping of names to commands, got a list"},
	{IN_WEB("scripts: {start: }"), "monocore.yaml:4:22: 'start': expected a command, got nothing"},
	{IN_WEB("scripts: {start: [python, app.py]}"),
		"monocore.yaml:4:22: 'start': expected a command, got a list"},
	{IN_WEB("imports: {wheels: /w}"), "monocore.yaml:4:15: no build in 'depends_on' exports 'wheels'"},
	{IN_WEB("imports: {wheels: w}"),
		"monocore.yaml:4:23: 'wheels': expected a path in the sandbox that begins with '/', got 'w'"},
	{"builds:\n  a: {image: x, exports: {w: /o}}\n  b: {image: x, exports: {w: /o}}\nsandboxes:\n  web: "
	 "{image: x, depends_on: [a, b], imports: {w: /w}}\n",
		"monocore.yaml:5:49: 2 builds export 'w'; write BUILD.w"},
	{IN_WEB("exports: {a: b}"),
		"monocore.yaml:4:18: 'a': expected a path in the sandbox that begins with '/', got 'b'"},
	{IN_WEB("network: {allow: \"*\"}"),
		"monocore.yaml:4:22: 'allow': expected a list of TARGET[:PORT][/tcp|udp|icmp], got '*'"},
	{IN_WEB("network: {allow: [\"example.com:http\"]}"),
		"monocore.yaml:4:23: 'allow': rule 'example.com:http': 'http' is no port: a number from 1 to "
		"65535 is expected after ':', or two with '-' between"},
	{IN_WEB("network: {allow: [\"10.0.0.1/8\"]}"),
		"monocore.yaml:4:23: 'allow': rule '10.0.0.1/8': '10.0.0.1/8' is no network: the one around "
		"this address is 10.0.0.0/8"},
	{IN_WEB("network: {deny: [\"\"]}"),
		"monocore.yaml:4:22: 'deny': expected TARGET[:PORT[-PORT]][/tcp|udp|icmp], such as "
		"\"*.pypi.org:443\", got an empty text"},
	{IN_WEB("network: {bandwidth: fast}"),
		"monocore.yaml:4:26: 'bandwidth': expected bytes a second such as 10M, got 'fast'"},
	{IN_WEB("network: {alow: []}"), "monocore.yaml:4:15: unknown key 'alow'; did you mean 'allow'?"},
	{IN_WEB("groups: [backend]"), "monocore.yaml:4:14: there is no group 'backend'"},
	{IN_WEB("groups: {backend: {}}") "groups:\n  backnd: {}\n",
		"monocore.yaml:4:14: there is no group 'backend'; did you mean 'backnd'?"},
	{IN_WEB("groups: {g: {network: {ip: 10.0.0.300}}}") "groups: {g: {}}\n",
		"monocore.yaml:4:32: 'ip': '10.0.0.300' is no IP address"},
	{IN_WEB("groups: {g: {network: {ip: 8.8.8.8}}}") "groups: {g: {}}\n",
		"monocore.yaml:4:32: 'ip': '8.8.8.8' is no private address of IPv4"},
	{IN_WEB("groups: {g: {network: {ip: 10.0.2.5}}}") "groups: {g: {network: {subnet: 10.0.1.0/24}}}\n",
		"monocore.yaml:4:32: 'ip': no sandbox of this group can have the address 10.0.2.5: those are "
		"10.0.1.3 to 10.0.1.254"},
	{IN_WEB("groups: {g: {network: {hostname: -x}}}") "groups: {g: {}}\n",
		"monocore.yaml:4:38: 'hostname': expected a host's name: letters, digits, '-' and '.', got "
		"'-x'"},
	{IN_WEB("groups: {g: {network: {hostname: a_b}}}") "groups: {g: {}}\n",
		"monocore.yaml:4:38: 'hostname': expected a host's name: letters, digits, '-' and '.', got "
		"'a_b'"},
	{IN_WEB("groups: {g: {volumes: {shared: /s}}}") "groups: {g: {}}\n",
		"monocore.yaml:4:28: the group 'g' has no volume 'shared'"},
	{IN_WEB("groups: {g: {volumes: {shared: s}}}") "groups: {g: {volumes: {shared: ./s}}}\n",
		"monocore.yaml:4:36: 'shared': expected PATH[:OPTIONS], such as /shared:ro, got 's': the "
		"path in the sandbox begins with '/'"},
	{"groups: {g: {network: {subnet: 10.0.1.5/24}}}\n",
		"monocore.yaml:1:32: 'subnet': '10.0.1.5/24' is no network: the one around this address is "
		"10.0.1.0/24"},
	{"groups: {g: {network: {subnet: 8.8.8.0/24}}}\n",
		"monocore.yaml:1:32: 'subnet': the subnet 8.8.8.0/24 is not private; take one of 10.0.0.0/8, "
		"172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"},
	{"groups: {g: {network: {subnet: x}}}\n", "monocore.yaml:1:32: 'subnet': 'x' is no IP address"},
	{"groups: {g: {volumes: {shared: a/b}}}\n", "monocore.yaml:1:32: 'shared': expected a path such as "
						    "./shared, or the name of a volume, got 'a/b'"},
	{"groups: {g: {volumes: [a]}}\n",
		"monocore.yaml:1:23: 'volumes': expected a mapping of names to paths, got a list"},
	{"groups: {g: {subnet: 10.0.1.0/24}}\n",
		"monocore.yaml:1:14: unknown key 'subnet'; there are network, volumes, envs"},
	{"groups: {g: {}}\nsandboxes:\n  a: {image: x, groups: {g: {network: {ip: 10.0.0.9}}}}\n  b: {image: "
	 "x, groups: {g: {network: {ip: 10.0.0.9}}}}\n",
		"monocore.yaml:4:26: 'a' and 'b' both have the address '10.0.0.9' in the group 'g'"},
	{"sandboxes:\n  a: {image: x, groups: {default: {network: {hostname: b}}}}\n  b: {image: x}\n",
		"monocore.yaml:3:3: 'a' and 'b' both have the name 'b' in the group 'default'"},
	{IN_WEB("healthcheck: curl"),
		"monocore.yaml:4:18: 'healthcheck': expected a mapping with exec, got 'curl'"},
	{IN_WEB("healthcheck: {test: curl}"), "monocore.yaml:4:19: unknown key 'test'; it is 'exec' here"},
	{IN_WEB("healthcheck: {exec: curl, interval: often}"),
		"monocore.yaml:4:41: 'interval': expected a time such as 30s, 5m or 1h30m, got 'often'"},
	{IN_WEB("healthcheck: {exec: curl, retries: 0}"),
		"monocore.yaml:4:40: 'retries': expected a number from 1 to 1000, got 0"},
	{IN_WEB("healthcheck: {exec: []}"),
		"monocore.yaml:4:25: 'exec': expected a command, got an empty list"},
	{IN_WEB("healthcheck: {exec: x, disable: true}"),
		"monocore.yaml:4:37: 'disable' and 'exec' cannot stand together"},
	{IN_WEB("healthcheck: {disable: yes}"),
		"monocore.yaml:4:28: 'disable': expected true or false, got 'yes'"},
	{IN_WEB("labels: [a]"), "monocore.yaml:4:14: 'labels': expected KEY=value, got 'a'"},
	{IN_WEB("labels: [\"=a\"]"), "monocore.yaml:4:14: 'labels': expected KEY=value, got '=a'"},
	{IN_BUILD("steps: make"), "monocore.yaml:4:12: 'steps': expected a list of steps, got 'make'"},
	{IN_BUILD("steps: [[make]]"), "monocore.yaml:4:13: 'steps': expected a command, or a mapping of one "
				      "of run, copy, env, workdir, user, got a list"},
	{IN_BUILD("steps: [{}]"),
		"monocore.yaml:4:13: a step is one of run, copy, env, workdir and user; here is none"},
	{IN_BUILD("steps: [{run: a, user: b}]"),
		"monocore.yaml:4:13: a step is one of run, copy, env, workdir and user; here are several"},
	{IN_BUILD("steps: [{run: a, from: app2}]") "  app2: {image: x}\n",
		"monocore.yaml:4:28: 'from' belongs to 'copy'"},
	{IN_BUILD("steps: [{run: []}]"), "monocore.yaml:4:19: 'run': expected a command, got an empty list"},
	{IN_BUILD("steps: [{copy: [a]}]"),
		"monocore.yaml:4:20: 'copy': expected what to copy and, last, where to"},
	{IN_BUILD("steps: [{copy: a}]"), "monocore.yaml:4:20: 'copy': expected a list of paths, the last of "
					 "them where they go, got 'a'"},
	{IN_BUILD("steps: [{copy: [a, b], from: other}]"),
		"monocore.yaml:4:21: 'copy': expected a path in the image of 'other', got 'a'"},
	{IN_BUILD("steps: [{copy: [a, /b], from: tools}]") "  tools: {image: x}\n",
		"monocore.yaml:4:21: 'copy': expected a path in the image of 'tools', got 'a'"},
	{IN_BUILD("steps: [{workdir: app}]"), "monocore.yaml:4:23: 'workdir': expected a path in the sandbox "
					      "that begins with '/', got 'app'"},
	{IN_BUILD("steps: [{cmd: x}]"),
		"monocore.yaml:4:14: unknown key 'cmd'; there are run, copy, from, env, workdir, user"},
	{IN_BUILD("ports: [\"8080:80\"]"), "monocore.yaml:4:13: 'ports': expected PORT[-PORT][/tcp|/udp], "
					   "such as 80 or 53/udp, got '8080:80'"},
	{IN_BUILD("ports: [0]"), "monocore.yaml:4:13: 'ports': expected PORT[-PORT][/tcp|/udp], such as 80 "
				 "or 53/udp, got '0'"},
	{IN_BUILD("ports: [80/icmp]"), "monocore.yaml:4:13: 'ports': expected PORT[-PORT][/tcp|/udp], such "
				       "as 80 or 53/udp, got '80/icmp'"},
	{IN_BUILD("groups: [a]"), "monocore.yaml:4:5: unknown key 'groups'; there are image, ram, cpus, "
				  "volumes, envs, env_file, depends_on, workdir, user, shell, scripts, "
				  "imports, exports, reach, network, disk, ports, healthcheck, steps"},
	{IN_WEB("user: ${NOBODY}"), "monocore.yaml:4:11: the variable NOBODY is not set; ${NOBODY:-TEXT} "
				    "would have a default, and $${NOBODY} is for a shell to see"},
	{IN_WEB("user: ${NOBODY"), "monocore.yaml:4:11: this '${' is not closed"},
	{IN_WEB("user: ${}"),
		"monocore.yaml:4:11: expected a variable's name behind '${'; write '$${' for a shell to see"},
	{IN_WEB("user: ${1}"),
		"monocore.yaml:4:11: expected a variable's name behind '${'; write '$${' for a shell to see"},
	{IN_WEB("user: ${NOBODY:?say who}"), "monocore.yaml:4:11: the variable NOBODY is not set: say who"},
	{IN_WEB("user: ${NOBODY:-${NOBODY2}}"),
		"monocore.yaml:4:21: the variable NOBODY2 is not set; ${NOBODY2:-TEXT} would have a default, "
		"and $${NOBODY2} is for a shell to see"},
	{IN_WEB("user: \"${A!b}\""), "monocore.yaml:4:12: expected '}', ':-', ':+' or ':?' behind a "
				     "variable's name; write '$${' for a shell to see"},
	{IN_WEB("ram: ${BAD_RAM:-much}"),
		"monocore.yaml:4:10: 'ram': expected a size such as 512M or 1GiB, got 'much'"},
	{IN_WEB("user: \"\303\244 ${NOBODY}\""),
		"monocore.yaml:4:14: the variable NOBODY is not set; ${NOBODY:-TEXT} would have a default, "
		"and $${NOBODY} is for a shell to see"},
	{"modules: {none.yaml: {a: }}\n",
		"monocore.yaml:1:11: open '/p/none.yaml': No such file or directory"},
	{"modules: {db/monocore.yaml: {postgre: }}\n",
		"monocore.yaml:1:30: db/monocore.yaml has no 'postgre'; did you mean 'postgres'?"},
	{"modules: {db/monocore.yaml: {postgres: {as: Db}}}\n",
		"monocore.yaml:1:45: 'Db' cannot be a name: a-z, 0-9, '-' and '_', a letter or digit at both "
		"ends, at most 40"},
	{"modules: {db/monocore.yaml: {postgres: {name: db}}}\n",
		"monocore.yaml:1:41: unknown key 'name'; there are as"},
	{"modules: {db/monocore.yaml: }\n", "monocore.yaml:1:29: 'db/monocore.yaml': expected a mapping of "
					    "its components, or a list of their names, got nothing"},
	{"modules: [db/monocore.yaml]\n",
		"monocore.yaml:1:10: 'modules': expected a mapping of files to their components, got a list"},
	{"modules: {db/monocore.yaml: {postgres: {as: web}}}\nsandboxes: {web: {image: x}}\n",
		"monocore.yaml:1:11: two sandboxes are called 'web' here; the first is in line 2 of "
		"monocore.yaml"},
	{"modules: {db/monocore.yaml: [postgres, postgres]}\n",
		"monocore.yaml:1:40: 'postgres' of db/monocore.yaml is brought in twice"},
	{"modules: {circle.yaml: {a: }}\n",
		"circle.yaml:1:11: two sandboxes are called 'a' here; the first is in line 2 of circle.yaml"},
	{"modules: {monocore.yaml: {a: }}\n", "monocore.yaml:1:11: the modules go in a circle: "
					      "'monocore.yaml' is being brought in already"},
	{"modules: {wrong.yaml: {a: }}\n", "wrong.yaml:1:13: 'a' lacks 'image'"},
	{"modules: {dir: {a: }}\n", "monocore.yaml:1:11: read '/p/dir': it is no regular file"},
	{"modules: {db/monocore.yaml: {postgres: {as: a-name-that-is-very-long-but-not-too-long}}}\n",
		"monocore.yaml:1:45: 'a-name-that-is-very-long-but-not-too-long' cannot be a name: a-z, 0-9, "
		"'-' and '_', a letter or digit at both ends, at most 40"},
};

/* The first of what is told, as "FILE:LINE:COLUMN: TEXT"; how many there are. */
static size_t first_mistake(const char *text, char *out, size_t size)
{
	struct mistakes m;
	struct project *p;
	struct error err;
	size_t count;

	CHECK_ERROR(memory_load(&memory, text, strlen(text), &p, &m, &err), ERROR_INVALID);
	CHECK(!p && m.count);
	snprintf(out, size, "%s:%u:%u: %s", m.files[m.list[0].place.file].name, m.list[0].place.line,
		m.list[0].place.column, m.list[0].text);
	CHECK_TEXT(err.text, out);
	count = m.count + m.more;
	mistakes_free(&m);
	return count;
}

TEST(each_wrong_file_is_told_what_is_wrong_with_it_and_where)
{
	char told[1200];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		first_mistake(wrong[i].text, told, sizeof told);
		if (strcmp(told, wrong[i].told))
			test_fail(__FILE__, __LINE__, "'%s': told '%s', expected '%s'", wrong[i].text, told,
				wrong[i].told);
	}
}

TEST(all_mistakes_are_told_in_one_run_in_the_order_of_their_places)
{
	static const char text[] = "sandboxes:\n"
				   "  web:\n"
				   "    imge: x\n"
				   "    ram: lots\n"
				   "    image: ${NOBODY}\n"
				   "    depends_on: [bd]\n"
				   "    env_file: broken.env\n"
				   "  db: {image: x, depends_on: [db]}\n"
				   "  db: {image: y}\n"
				   "modules: {wrong.yaml: {a: }}\n"
				   "nonsense: 1\n";
	static const unsigned lines[] = {3, 4, 5, 6, 8, 9, 11, 1, 1, 2};
	struct mistakes m;
	struct project *p;
	struct error err;

	CHECK_ERROR(memory_load(&memory, text, strlen(text), &p, &m, &err), ERROR_INVALID);
	CHECK_INT(m.count, sizeof lines / sizeof *lines);
	for (size_t i = 0; i < m.count; i++)
		CHECK_INT(m.list[i].place.line, lines[i]);
	mistakes_free(&m);
}

TEST(a_mistake_is_shown_with_its_line_and_what_points_at_it)
{
	static const char text[] = "meta: {}\r\nsandboxes:\r\n\r\n  web: {\"\xc3\xa4\": 1, imge: x}\r\n";
	static const char shown[] = "monocore.yaml:4:17: unknown key 'imge'; did you mean 'image'?\n"
				    "      web: {\"\xc3\xa4\": 1, imge: x}\n"
				    "                    ^~~~\n";
	struct buffer out = {0};
	struct mistakes m;
	struct project *p;
	struct error err;
	char *told;

	CHECK_ERROR(memory_load(&memory, text, strlen(text), &p, &m, &err), ERROR_INVALID);
	mistake_format(&m, &m.list[m.count - 1], &out);
	told = buffer_take_text(&out);
	CHECK_TEXT(told, shown);
	free(told);
	mistakes_free(&m);
}

/* "s0 depends on s1 depends on …" */
static char *chain(unsigned length)
{
	struct buffer b = {0};

	buffer_append_text(&b, "sandboxes:\n");
	for (unsigned i = 0; i < length; i++)
		buffer_format(&b, "  s%u: {image: x, depends_on: [s%u]}\n", i, i + 1);
	buffer_format(&b, "  s%u: {image: x}\n", length);
	return buffer_take_text(&b);
}

TEST(depends_on_is_at_most_32_deep)
{
	char told[1200], *text = chain(PROJECT_DEPENDS_MAX);
	struct mistakes m;
	struct project *p;
	struct error err;

	CHECK_OK(memory_load(&memory, text, strlen(text), &p, &m, &err));
	project_free(p);
	mistakes_free(&m);
	free(text);
	text = chain(PROJECT_DEPENDS_MAX + 1);
	CHECK_INT(first_mistake(text, told, sizeof told), 1);
	CHECK_TEXT(told, "monocore.yaml:2:3: 's0' depends on others more than 32 deep");
	free(text);
	text = chain(3000);
	CHECK(first_mistake(text, told, sizeof told) >= 1);
	free(text);
}

TEST(aliases_that_stand_for_too_much_are_refused)
{
	struct buffer b = {0};
	char told[1200], *text;

	buffer_append_text(&b, "x-0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (unsigned i = 1; i < 30; i++)
		buffer_format(&b, "x-%u: &a%u [*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u]\n", i, i, i - 1,
			i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	text = buffer_take_text(&b);
	CHECK_INT(first_mistake(text, told, sizeof told), 1);
	CHECK_TEXT(told, "monocore.yaml:6:27: the aliases up to here stand for too much: more than 16 MiB");
	free(text);
}

TEST(what_is_nested_too_deep_is_refused)
{
	char told[1200], text[400] = "meta: ";

	memset(text + 6, '[', 100);
	memset(text + 106, ']', 100);
	CHECK_INT(first_mistake(text, told, sizeof told), 1);
	CHECK_TEXT(told, "monocore.yaml:1:70: this is nested more than 64 deep");
}
