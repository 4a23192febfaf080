"""Every code that a problem of a document can have: what it means and what helps. A table, and the page made from it.

A problem without a hint of its own carries its code's; `docs/reference/problems.md` is written from here.
"""

from dataclasses import dataclass

from weft.lib.errors import Problem


@dataclass(frozen=True, slots=True)
class Code:
    """`name` never changes once published; `hint` is what helps in general."""

    name: str
    meaning: str
    hint: str
    example: str


def problem(file: str, line: int, column: int, code: str, reason: str, hint: str = "") -> Problem:
    """A Problem; where nothing closer is known, the hint is its code's."""
    return Problem(file, line, column, code, reason, hint or (CODES[code].hint if code in CODES else ""))


def page() -> str:
    """The reference page, in Markdown."""
    lines = [_HEAD]
    for code in CODES.values():
        lines += [
            f"## {code.name}",
            "",
            f"{code.meaning} {_sentence(code.hint)}",
            "",
            "```yaml",
            code.example,
            "```",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _sentence(hint: str) -> str:
    return f"What helps: {hint}."


_CODES = (
    Code(
        "bad-address",
        "A text that should be an IP address, or an address and a port, is neither.",
        'write an address such as 10.0.0.7, or "127.0.0.1:9000" where a port belongs to it',
        "spec: {clusterIP: 198.19.0.256}",
    ),
    Code(
        "bad-annotation",
        "An annotation that sets timeouts or retries has a value that it cannot have.",
        "see docs/reference/retries.md for what each annotation takes",
        "metadata: {annotations: {timeout.linkerd.io/request: soon}}",
    ),
    Code(
        "bad-authentication",
        "A MeshTLSAuthentication names nobody, or by both of identities and identityRefs.",
        "give one of identities and identityRefs, and not empty",
        "kind: MeshTLSAuthentication\nspec: {identities: []}",
    ),
    Code(
        "bad-client",
        "The client of a ServerAuthorization is said in no way, or in two that exclude each other.",
        "give one of unauthenticated and meshTLS, and in meshTLS one way to say who",
        "kind: ServerAuthorization\nspec: {client: {}}",
    ),
    Code(
        "bad-env-file",
        "A line of the file that `envFile` names sets no variable; the problem's place is in that file.",
        "each line is NAME=VALUE, empty, or a comment that starts with #",
        "# variables.env\nGREETING hello",
    ),
    Code(
        "bad-identity",
        "A text cannot be the identity of a workload, nor a pattern of identities.",
        "write NAME.NAMESPACE.serviceaccount.identity..., a SPIFFE URI, or * with a suffix",
        'spec: {identities: ["*web"]}',
    ),
    Code(
        "bad-key",
        "A mapping has a list or another mapping as a key.",
        "write the key as a text",
        "? [a, b]\n: c",
    ),
    Code(
        "bad-name",
        "A name cannot be part of a DNS name, which it becomes.",
        "use lower-case letters, digits and `-`, with a letter or digit first and last",
        "metadata: {name: Voting_1}",
    ),
    Code(
        "bad-network",
        "A text is no network in CIDR notation, or an exception lies outside of it.",
        "write a network such as 10.0.0.0/8, and exceptions that are part of it",
        "spec: {networks: [{cidr: 10.0.0.0/8, except: [11.0.0.1]}]}",
    ),
    Code(
        "bad-policy",
        "An AuthorizationPolicy requires a kind of authentication more often than it can.",
        "list each kind of authentication once",
        "kind: AuthorizationPolicy",
    ),
    Code(
        "bad-probe",
        "A readiness, liveness or startup probe has no check, or several.",
        "give one of tcpSocket, httpGet, grpc, exec",
        "spec: {readiness: {periodSeconds: 2}}",
    ),
    Code(
        "bad-profile",
        "A part of a ServiceProfile cannot be what is written: its name, a condition, a duration, a weight or a port.",
        "see docs/reference/routes.md for what each part takes",
        "apiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {name: web}",
    ),
    Code(
        "bad-reference",
        "A reference leads to a kind or a namespace that it cannot lead to here.",
        "look at kind, group and namespace of the reference",
        "spec: {targetRef: {group: policy.linkerd.io, kind: Serve, name: web}}",
    ),
    Code(
        "bad-route",
        "A route says something that cannot mean anything.",
        "see what the Gateway API says about this field",
        "spec: {rules: [{matches: [{path: {value: no-slash}}]}]}",
    ),
    Code(
        "bad-selector",
        "A Server selects neither or both of pods and external workloads.",
        "give exactly one of podSelector and externalWorkloadSelector; `podSelector: {}` selects every pod",
        "kind: Server\nspec: {port: 80}",
    ),
    Code(
        "duplicate-document",
        "Two documents have the same kind, namespace and name. The reason says where the first one is.",
        "keep one of the two",
        "kind: Namespace\nmetadata: {name: shop}\n---\nkind: Namespace\nmetadata: {name: shop}",
    ),
    Code(
        "duplicate-family",
        "`ipFamilies` lists one family twice.",
        "list each of IPv4 and IPv6 at most once",
        "spec: {ipFamilies: [IPv4, IPv4]}",
    ),
    Code(
        "duplicate-key",
        "A key is twice in the same mapping; most readers of YAML would silently take the last one.",
        "keep one of the two",
        "spec:\n  replicas: 1\n  replicas: 2",
    ),
    Code(
        "duplicate-port",
        "A port number or name is listed twice.",
        "list each port and each name once",
        "spec: {ports: [{port: 80}, {port: 80}]}",
    ),
    Code(
        "missing-field",
        "A field that has no default is not there.",
        "add it",
        "kind: Workload\nspec: {replicas: 2}",
    ),
    Code(
        "no-files",
        "A directory holds no file that documents are read from.",
        "name a directory with files that end in .yaml, .yml or .json",
        "# weft up ./empty",
    ),
    Code(
        "no-workloads",
        "A mesh file starts nothing: there is no Workload in it.",
        "a mesh file has at least one document of kind Workload (apiVersion mesh.weft.dev/v1alpha1)",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}",
    ),
    Code(
        "not-a-document",
        "A document is a list or a single value.",
        "a document starts with apiVersion and kind",
        "- apiVersion: v1\n  kind: Service",
    ),
    Code(
        "pod-in-mesh-file",
        "A mesh file holds a Pod. Local mode makes pods out of Workloads.",
        "write a Workload: local mode makes the pods",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0}",
    ),
    Code(
        "published-twice",
        "Two workloads publish the same address and port of the host.",
        "choose another port",
        'spec: {publish: [{port: 80, listen: "127.0.0.1:9000"}]}   # in two workloads',
    ),
    Code(
        "reserved-namespace",
        "A workload is in the namespace of the control plane.",
        "choose another namespace",
        "metadata: {name: web, namespace: weft}",
    ),
    Code(
        "syntax",
        "A text is not YAML. The other documents of the file are read all the same.",
        "look at the indentation, quotes and brackets on this line and the one before",
        "spec: {command: [a, b}",
    ),
    Code(
        "too-large",
        "A file, or a document after its aliases are followed, is larger than any mesh needs, or contains itself.",
        "split the file, or use fewer aliases",
        "a: &a [*a]",
    ),
    Code(
        "two-families",
        "A Service of a single family lists two.",
        "leave one out, or write ipFamilyPolicy: PreferDualStack",
        "spec: {ipFamilyPolicy: SingleStack, ipFamilies: [IPv4, IPv6]}",
    ),
    Code(
        "unknown-field",
        "A field is none of those that this kind has at this place.",
        "look for a typing error",
        "spec: {replica: 3}",
    ),
    Code(
        "unknown-kind",
        "No document has this kind, or not in this API group.",
        "look for a typing error in apiVersion and kind",
        "apiVersion: v1\nkind: Servce",
    ),
    Code(
        "unknown-port",
        "A port is named, or published, that `spec.ports` does not list.",
        "add it to spec.ports",
        'spec: {ports: [{name: http, port: 80}], publish: [{port: grpc, listen: "9000"}]}',
    ),
    Code(
        "unknown-workload",
        "`dependsOn` names a workload that is not in this namespace.",
        "name a workload of the same namespace",
        "spec: {dependsOn: [databse]}",
    ),
    Code(
        "unreadable",
        "A file cannot be read, or is not UTF-8 text.",
        "look at the file's name, permissions and encoding",
        "spec: {envFile: missing.env}",
    ),
    Code(
        "waits-for-itself",
        "`dependsOn` of several workloads leads back to where it started: none of them would ever start.",
        "leave one of the dependencies out",
        "metadata: {name: a}\nspec: {dependsOn: [a]}",
    ),
    Code(
        "wrong-value",
        "A value has the wrong type, is outside its range, or is none of the allowed words.",
        "see what the field takes",
        "spec: {replicas: many}",
    ),
)
CODES = {code.name: code for code in _CODES}
"""By name, in their order on the page."""

_HEAD = """\
# What can be wrong with a document

Made by `make docs` from the table in `python/weft/resources/codes.py`.

A problem has a code, a place (file, line and column), a reason and a hint. `weft up --validate -o json FILE` prints
them as data; `weft explain CODE` prints one section of this page. Problems are told all at once. In a running mesh a
bad edit changes nothing: the last good state stays.
"""
