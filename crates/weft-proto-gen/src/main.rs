//! Writes the proxy's protobuf types and client stubs from a descriptor set.
//!
//! Usage: `weft-proto-gen DESCRIPTOR_SET OUT_DIR`. `proto/generate.py` compiles the descriptor set and calls this;
//! it never reads the `.proto` files itself and never decides where the result belongs.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(descriptors), Some(out_dir), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: weft-proto-gen DESCRIPTOR_SET OUT_DIR".into());
    };
    let descriptors = FileDescriptorSet::decode(&*fs::read(descriptors)?)?;
    let out_dir = Path::new(&out_dir);

    let mut config = prost_build::Config::new();
    // Ordered maps make what we encode repeatable.
    config.btree_map(["."]);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .out_dir(out_dir)
        .compile_fds_with_config(descriptors, config)?;
    write_root(out_dir)
}

/// Renames each package's file to the last word of its name and lists all in `mod.rs`: siblings, as the generated
/// paths between packages (`super::net`) expect.
fn write_root(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(out_dir)? {
        let path = entry?.path();
        let package = path.file_stem().and_then(|s| s.to_str()).ok_or("a file without a name")?.to_owned();
        let module = match package.as_str() {
            "transport.l5d.io" => "transport_header",
            other => other.strip_prefix("io.linkerd.proxy.").ok_or_else(|| format!("unexpected package {other}"))?,
        };
        fs::rename(&path, out_dir.join(format!("{module}.rs")))?;
        modules.push(module.to_owned());
    }
    modules.sort();
    let mut root = String::from(ROOT);
    for module in modules {
        write!(root, "\n#[rustfmt::skip]\npub mod {module};\n")?;
    }
    fs::write(out_dir.join("mod.rs"), root)?;
    Ok(())
}

const ROOT: &str = "\
//! Wire types and client stubs, generated from `proto/` by `make generate`. Do not edit.

#![allow(clippy::all, dead_code, missing_docs, reason = \"generated\")]
";
