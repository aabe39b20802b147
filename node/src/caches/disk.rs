//! Stored answers on disk: where they lie, and the key they are encrypted with. Owns that key, which no other node has; it is made once and
//! lies in the data directory, because the secrets of the cluster are not known yet when a restarted node serves again.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use tidegate_edge::DiskOptions;
use tidegate_proto::limits::CACHE_DISK_READ_TIMEOUT_MS;

use crate::{node::NodeError, options::NodeOptions};

/// File name of the key in the data directory.
const KEY_FILE: &str = "cache-key";
const FOLDER: &str = "cache";

/// The options of the disk, if answers are to be kept there.
pub(crate) fn options(options: &NodeOptions) -> Result<Option<DiskOptions>, NodeError> {
    let bytes_max = options.gateway.cache_disk_bytes_max;
    if bytes_max == 0 {
        return Ok(None);
    }
    let data = &options.node.data_dir;
    let read_timeout_ms = CACHE_DISK_READ_TIMEOUT_MS;
    Ok(Some(DiskOptions { folder: data.join(FOLDER), bytes_max, read_timeout_ms, key: key(data)? }))
}

/// The key in a folder, made when there is none. One that was damaged is replaced: what it sealed is dropped then.
fn key(folder: &Path) -> Result<[u8; 32], NodeError> {
    let path = folder.join(KEY_FILE);
    if let Some(key) = fs::read(&path).ok().and_then(|bytes| bytes.try_into().ok()) {
        return Ok(key);
    }
    let (key, partial): ([u8; 32], _) = (rand::random(), path.with_extension("partial"));
    let write = || {
        let mut file =
            fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|reason| NodeError::File { path: path.clone(), reason })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let first = key(folder.path()).unwrap();
        assert_eq!(key(folder.path()).unwrap(), first);
        let path = folder.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        let second = key(folder.path()).unwrap();
        assert_ne!(second, first);
        assert_eq!(key(folder.path()).unwrap(), second);
        assert!(key(&folder.path().join("none")).is_err());
    }
}
