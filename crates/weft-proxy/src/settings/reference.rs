//! The page of the reference that lists every variable: `weft-proxy --settings` prints it, and docs/reference has a copy.

use std::fmt::Write as _;

use super::known::WITHOUT_EFFECT;
use super::{DEFINITIONS, Definition};

/// The whole page, in Markdown.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    page.push_str("| variable | default | meaning |\n|---|---|---|\n");
    for Definition { name, meaning, default } in DEFINITIONS {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{name}` | {default} | {} |", meaning.trim().replace('|', "\\|"));
    }
    page.push_str(WITHOUT);
    for known in WITHOUT_EFFECT {
        let _ = writeln!(page, "| `{}` | {} |", known.name, known.why);
    }
    page
}

const HEAD: &str = "# Settings of the proxy

`weft-proxy` is told everything by environment variables, read once when it starts. `LINKERD2_PROXY_*` mean what they mean to
Linkerd's proxy; `WEFT_PROXY_*` are this proxy's own. A variable that is set but empty counts as not set. A value that cannot be
used is reported with the name of its variable and what is allowed, all such values together; the proxy does not start then and exits
with the status 64.

Durations are whole numbers with a unit: `ms`, `s`, `m`, `h` or `d`. Lists are separated by commas.

";

const WITHOUT: &str = "
## Without effect

A pod that was made for Linkerd carries these. They change nothing here; the proxy says so in a warning when it starts. A variable
with one of the two prefixes that nobody knows is reported in the same way, with the nearest name that exists.

| variable | why |
|---|---|
";
