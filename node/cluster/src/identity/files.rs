//! An identity on disk: four files in one directory, each replaced atomically, the key readable by its owner only.

use super::{Identity, IdentityError, certified_name, parse_dns_name};
use crate::store::checkpoint::write_durably;
use std::path::Path;

const CA: &str = "ca.der";
const CERT: &str = "node.der";
const KEY: &str = "node.key";

impl Identity {
    /// Reads an identity; node and cluster come from the certificate. Blocking.
    ///
    /// # Errors
    /// [`IdentityError::File`] names the file.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| std::fs::read(dir.join(name)).map_err(|e| failed(dir, name, &e));
        let (ca_der, cert_der, key) = (read(CA)?, read(CERT)?, read(KEY)?);
        let name = certified_name(&cert_der).map_err(|e| failed(dir, CERT, &e))?;
        let Some((node, cluster)) = parse_dns_name(&name) else {
            return Err(failed(dir, CERT, &format!("{name} is not the name of a node")));
        };
        Ok(Self { node, cluster: cluster.to_owned(), ca_der, cert_der, key })
    }

    /// True when `dir` holds a complete identity.
    pub fn exists(dir: &Path) -> bool {
        dir.join(CERT).exists()
    }

    /// Writes an identity durably; the certificate last, so that a half-written identity does not exist. Blocking.
    ///
    /// # Errors
    /// [`IdentityError::File`] names the file.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        std::fs::create_dir_all(dir).map_err(|e| failed(dir, "", &e))?;
        for (name, bytes) in [(CA, &self.ca_der), (KEY, &self.key), (CERT, &self.cert_der)] {
            write_durably(&dir.join(name), &[bytes]).map_err(|e| failed(dir, name, &e))?;
        }
        Ok(())
    }
}

fn failed(dir: &Path, name: &str, reason: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::File { path: dir.join(name).display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Authority;

    #[test]
    fn an_identity_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Authority::generate("prod").unwrap().identity(3).unwrap();
        assert!(!Identity::exists(dir.path()));
        identity.save(dir.path()).unwrap();
        assert_eq!(Identity::load(dir.path()).unwrap(), identity);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(KEY)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(dir.path().join(CERT), b"broken").unwrap();
        let error = Identity::load(dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::File { path, .. } if path.ends_with(CERT)));
    }
}
