//! Before the first process starts: data directory, access key, `dev.json`.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rand::Rng;
use tidegate_proto::dev::{DevNode, DevRegion};

use super::{
    DevArgs, DevError,
    command::SOCKET,
    layout::{Layout, NodePlan},
};

const SECRET_FILE: &str = "root-secret-access-key";
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The region as it was left, or a new one with a fresh access key.
pub(crate) fn region(args: &DevArgs, layout: &Layout) -> Result<DevRegion, DevError> {
    refuse_second(&layout.data)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |reason| DevError::File { path, reason }
    };
    if args.reset && layout.data.exists() {
        std::fs::remove_dir_all(&layout.data).map_err(failed(&layout.data))?;
    }
    std::fs::create_dir_all(&layout.data).map_err(failed(&layout.data))?;
    let path = layout.data.join("dev.json");
    let old: Option<DevRegion> = match std::fs::read(&path) {
        Ok(bytes) => {
            let damaged =
                |e| DevError::Refused(format!("{}: {e}; start with --reset to begin anew", path.display()));
            Some(serde_json::from_slice(&bytes).map_err(damaged)?)
        }
        Err(_) => None,
    };
    let (access_key_id, secret_access_key) = match &old {
        Some(old) => (old.access_key_id.clone(), old.secret_access_key.clone()),
        None => fresh_access_key(),
    };
    write_private(&secret_file(&layout.data), secret_access_key.as_bytes())?;
    let node = |plan: &NodePlan| DevNode {
        region: plan.region.clone(),
        az: plan.az.clone(),
        name: plan.name.clone(),
        node_id: old.as_ref().and_then(|o| o.nodes.iter().find(|n| is_of(n, plan))).map_or(0, |n| n.node_id),
        pid: 0,
        gateway: format!("http://{}", plan.gateway),
        gateway_tls: format!("https://{}", plan.gateway_tls),
        control: format!("http://{}", plan.control),
        admin: format!("http://{}", plan.admin),
    };
    let first = &layout.regions[0];
    Ok(DevRegion {
        control: format!("http://{}", first.control),
        gateway: format!("http://{}", first.gateway),
        gateway_tls: format!("https://{}", first.gateway_tls),
        region: first.name.clone(),
        access_key_id,
        secret_access_key,
        nodes: layout.nodes().map(node).collect(),
        sample: old.and_then(|o| o.sample),
    })
}

/// Whether a node of `dev.json`, which may have been written when zones had one node and nodes had no names, is the planned one.
fn is_of(node: &DevNode, plan: &NodePlan) -> bool {
    let name = if node.name.is_empty() { &node.az } else { &node.name };
    *name == plan.name
}

/// File from which the bootstrapping node reads the root secret.
pub(crate) fn secret_file(data: &Path) -> PathBuf {
    data.join(SECRET_FILE)
}

/// Replaces `dev.json` whole, so that a reader never sees half of it.
pub(crate) fn write_region(data: &Path, region: &DevRegion) -> Result<(), DevError> {
    let text = serde_json::to_string_pretty(region).unwrap_or_default() + "\n";
    write_private(&data.join("dev.json"), text.as_bytes())
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DevError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file =
            std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|reason| DevError::File { path: path.to_owned(), reason })
}

fn refuse_second(data: &Path) -> Result<(), DevError> {
    match std::os::unix::net::UnixStream::connect(data.join(SOCKET)) {
        Ok(_) => Err(DevError::Running(data.to_owned())),
        Err(_) => Ok(()),
    }
}

fn fresh_access_key() -> (String, String) {
    let mut random = rand::rng();
    let mut draw = |length: usize| -> String {
        (0..length).map(|_| ALPHABET[random.random_range(0..32)] as char).collect()
    };
    (format!("AKIA{}", draw(16)), draw(40))
}
