"""Broken mesh files: the table behind `test_broken_documents`. The line of each problem ends in `#!`.

A row is the code, the text, what the reason says, what the hint says. `W` starts a Workload, `SPEC` one up to its `spec`.
"""

W = "apiVersion: mesh.weft.dev/v1alpha1\nkind: Workload\n"
SPEC = W + "metadata: {name: web}\nspec:\n"
RUN = SPEC + "  command: [serve]\n"
GOOD = RUN + "---\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
ROUTE = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n"
SERVER = "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: s}\nspec:\n"

BROKEN = [
    # The text itself.
    ("syntax", "a: [1\nb: 2 #!\n", "not valid YAML", "indentation, quotes and brackets"),
    ("syntax", GOOD + "a: 'open #!\n", "not valid YAML", "indentation"),
    ("syntax", "a: {b: 1]  #!\n---\n" + RUN, "not valid YAML", "indentation"),
    ("syntax", GOOD + "\tkind: Service #!\n", "not valid YAML", "indentation"),
    ("syntax", "a: *nowhere #!\n", "undefined alias", "indentation"),
    ("duplicate-key", RUN + "  replicas: 1\n  replicas: 2 #!\n", "`replicas` is already on line 6", "keep one"),
    ("duplicate-key", GOOD + "kind: A\napiVersion: v1\nkind: B #!\n", "already on line 7", "keep one"),
    ("bad-key", RUN + "  env:\n    ? [a] #!\n    : b\n", "a key must be a text", "write the key as a text"),
    ("too-large", "a: &a [x, *a] #!\n", "contains itself", "fewer aliases"),
    ("not-a-document", "- a #!\n- b\n", "not a mapping", "apiVersion and kind"),
    ("not-a-document", GOOD + "just words #!\n", "not a mapping", "apiVersion and kind"),
    # What kind it is.
    ("missing-field", "kind: Service #!\nmetadata: {name: a}\n", "`apiVersion` is missing", "starts with apiVersion"),
    ("missing-field", "apiVersion: v1 #!\nmetadata: {name: a}\n", "`kind` is missing", "starts with apiVersion"),
    ("unknown-kind", "apiVersion: v1\nkind: Servce #!\n", "no kind is called `Servce`", "did you mean `Service`?"),
    ("unknown-kind", "apiVersion: v1\nkind: Zebra #!\n", "no kind is called `Zebra`", "the kinds are"),
    ("unknown-kind", "apiVersion: v1 #!\nkind: HTTPRoute\n", "no kind `HTTPRoute`", "gateway.networking.k8s.io"),
    ("unknown-kind", GOOD + "apiVersion: apps/v1 #!\nkind: Service\n", "no kind `Service`", "`v1`"),
    # Metadata.
    ("missing-field", W + "metadata: {} #!\nspec: {command: [x]}\n", "`name` is missing in `metadata`", "takes name"),
    ("missing-field", W[:-1] + "\nspec: {command: [x]}\n", "`metadata` is missing", "it takes"),
    ("bad-name", W + "metadata:\n  name: Web_1 #!\nspec: {command: [x]}\n", "`Web_1`", "lower-case letters"),
    ("bad-name", W + "metadata: {name: a, namespace: a b} #!\nspec: {command: [x]}\n", "`a b`", "lower-case"),
    ("wrong-value", W + "metadata:\n  name: a\n  labels:\n    v: 1 #!\nspec: {command: [x]}\n", "`metadata.labels.v`", '"1"'),
    ("wrong-value", W + "metadata:\n  name: a\n  labels: 3 #!\nspec: {command: [x]}\n", "expected a mapping", "a mapping"),
    (
        "wrong-value",
        W + "metadata:\n  name: a\n  annotations:\n    config.linkerd.io/opaque-ports: '80,x' #!\nspec: {command: [x]}\n",
        "`x` is no port",
        "3000-3010",
    ),
    # A Workload.
    ("missing-field", W + "metadata: {name: web}\nspec: #!\n  replicas: 2\n", "`command` is missing", "takes command"),
    ("wrong-value", SPEC + "  command: serve #!\n", "expected a list, got a text", "a list of at least one"),
    ("wrong-value", SPEC + "  command: [] #!\n", "`spec.command`", "at least one"),
    ("wrong-value", SPEC + "  command:\n  - serve\n  - 8080 #!\n", "`spec.command[1]`", "put it in quotes"),
    ("wrong-value", RUN + "  replicas: many #!\n", "expected a whole number, got a text", "at most 1000"),
    ("wrong-value", RUN + "  replicas: -1 #!\n", "`spec.replicas`", "at least 0"),
    ("wrong-value", RUN + "  restart: often #!\n", "`spec.restart`", "one of always, never"),
    ("wrong-value", RUN + "  workingDir: 7 #!\n", "expected a text", "put it in quotes"),
    ("wrong-value", RUN + "  env:\n    A: ok\n    B: true #!\n", "`spec.env.B`: expected a text", '"true"'),
    ("wrong-value", RUN + "  env:\n    A: #!\n", "got nothing", "leave the key out"),
    ("unknown-field", RUN + "  replica: 3 #!\n", "`spec.replica`", "did you mean `replicas`?"),
    ("unknown-field", RUN + "replicas: 3 #!\n", "`replicas` is not a field", "is a field of spec"),
    ("unknown-field", RUN + "  colour: red #!\n", "`spec.colour`", "the fields here are command"),
    ("unknown-field", RUN + "  ports:\n  - port: 1\n    nam: a #!\n", "`spec.ports[0].nam`", "`name`"),
    ("duplicate-port", RUN + "  ports:\n  - port: 1\n  - port: 1 #!\n", "port `1` is listed twice", "once"),
    ("duplicate-port", RUN + "  ports:\n  - {port: 1, name: a}\n  - {port: 2, name: a} #!\n", "name `a`", "once"),
    ("wrong-value", RUN + "  ports:\n  - port: 1\n  - port: 70000 #!\n", "`spec.ports[1].port`", "at most 65535"),
    ("unknown-port", RUN + "  publish:\n  - {port: 1, listen: '9000'} #!\n", "port 1", "spec.ports lists none"),
    ("unknown-port", RUN + "  readiness:\n    tcpSocket:\n      port: http #!\n", "named `http`", "names in spec.ports: none"),
    ("bad-probe", RUN + "  readiness: {periodSeconds: 2} #!\n", "0 checks", "tcpSocket, httpGet, grpc, exec"),
    ("bad-probe", RUN + "  readiness: {exec: {command: [a]}, tcpSocket: {port: 1}} #!\n", "2 checks", "give one of"),
    ("wrong-value", RUN + "  readiness:\n    periodSeconds: 0 #!\n    tcpSocket: {port: 1}\n", "periodSeconds", "more than 0"),
    (
        "bad-address",
        RUN + "  ports: [{port: 1}]\n  publish:\n  - port: 1\n    listen: here #!\n",
        "`here` is not an address and a port",
        "127.0.0.1:9000",
    ),
    # Several Workloads.
    ("duplicate-document", RUN + "---\n" + W.replace("\n", " #!\n", 1) + "metadata: {name: web}\nspec: {command: [x]}\n", "already written at", "keep one"),
    ("unknown-workload", RUN + "  dependsOn:\n  - databse #!\n", "`databse`", "the other workloads are none"),
    ("waits-for-itself", RUN + "  dependsOn: [web] #!\n", "web -> web", "leave one of the dependencies out"),
    (
        "waits-for-itself",
        RUN + "  dependsOn: [db] #!\n---\n" + W + "metadata: {name: db}\nspec:\n  command: [x]\n  dependsOn: [web] #!\n",
        "waits for itself",
        "leave one",
    ),
    (
        "published-twice",
        RUN + "  ports: [{port: 1}]\n  publish: [{port: 1, listen: '9000'}]\n---\n"
        + RUN.replace("name: web", "name: b") + "  ports: [{port: 1}]\n  publish:\n  - port: 1\n    listen: '9000' #!\n",
        "already published by web",
        "choose another port",
    ),
    ("reserved-namespace", W + "metadata:\n  name: a\n  namespace: weft #!\nspec: {command: [x]}\n", "`weft`", "another namespace"),
    ("pod-in-mesh-file", GOOD + "apiVersion: v1\nkind: Pod #!\nmetadata: {name: a}\n", "a Pod", "write a Workload"),
    ("no-workloads", SERVICE + "  ports: [{port: 80}]\n", "no Workload", "kind Workload"),
    ("unreadable", RUN + "  envFile: none.env #!\n", "cannot be read", "name, permissions"),
    # Anchors: the line is where the offending text is written.
    ("wrong-value", RUN + "  ports:\n  - &p {port: a} #!\n", "`spec.ports[0].port`", "at most 65535"),
    (
        "wrong-value",
        SPEC + "  <<: &base\n    replicas: many #!\n  command: [x]\n",
        "`spec.replicas`",
        "at most 1000",
    ),
    (
        "wrong-value",
        SPEC + "  replicas: many #!\n  <<: {replicas: 2}\n  command: [x]\n",
        "`spec.replicas`",
        "at most 1000",
    ),
    (
        "unknown-field",
        RUN + "  ports:\n  - &one\n    port: 1\n    protcol: TCP #!\n---\n" + RUN.replace("name: web", "name: other"),
        "`spec.ports[0].protcol`",
        "did you mean `protocol`?",
    ),
    # What clusters are given too.
    ("bad-address", GOOD + SERVICE + "  clusterIP: 198.19.0.256 #!\n", "not an IP address", "10.0.0.7"),
    ("duplicate-family", GOOD + SERVICE + "  ipFamilies: [IPv4, IPv4] #!\n", "twice", "at most once"),
    ("two-families", GOOD + SERVICE + "  ipFamilyPolicy: SingleStack\n  ipFamilies: [IPv4, IPv6] #!\n", "one family", "leave one out"),
    ("wrong-value", GOOD + SERVICE + "  ipFamilyPolicy: Both #!\n", "`spec.ipFamilyPolicy`", "one of"),
    ("wrong-value", GOOD + SERVICE + "  selector:\n    app: 1 #!\n", "`spec.selector.app`", 'write "1"'),
    ("bad-route", GOOD + ROUTE + "  rules:\n  - matches:\n    - path: {value: a} #!\n", "does not start with `/`", "Gateway API"),
    ("bad-route", GOOD + ROUTE + "  rules:\n  - backendRefs:\n    - name: a #!\n", "has no port", "needs `port`"),
    ("bad-route", GOOD + ROUTE + "  rules:\n  - timeouts:\n      request: 3 s #!\n", "not a duration", "1m30s"),
    ("bad-selector", GOOD + SERVER.replace("spec:", "spec: #!") + "  port: 80\n", "exactly one of", "podSelector"),
    ("wrong-value", GOOD + SERVER + "  podSelector: {}\n  port: 80\n  proxyProtocol: HTTP/4 #!\n", "`HTTP/4`", "did you mean"),
]  # fmt: skip
