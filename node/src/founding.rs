//! How a node comes to its identity: it founds the cluster, joins with a token, or finds it on disk.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rand::RngCore;
use tidegate_cluster::{Handle, NodeMeta, group, identity};
use tidegate_control::{Store, StoreError};
use tidegate_proto::{
    document::{Authority, Credential, NodeCounter, TicketSecret},
    key,
    transaction::{OutcomeV1, TransactionV1},
};
use tokio::time::sleep;

use crate::{node::NodeError, options::NodeOptions, store::ConfigStore};

/// Folder of the node's certificate and key inside its data directory.
pub(crate) const IDENTITY_FOLDER: &str = "identity";
/// Node id of the founder of a cluster.
const FOUNDER: u64 = 1;
/// How long a joining node keeps trying while no member lets it in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(100);

/// Gives this machine's node an identity with its join token; returns the node id.
pub(crate) async fn join(options: &NodeOptions) -> Result<u64, NodeError> {
    let folder = options.node.data_dir.join(IDENTITY_FOLDER);
    if identity::Identity::exists(&folder) {
        return Ok(identity::Identity::load(&folder)?.node);
    }
    let token = options.cluster.join_token.as_deref().ok_or_else(|| NodeError::NoIdentity(folder.clone()))?;
    let token: identity::JoinToken = token.parse()?;
    let meta = NodeMeta {
        address: options.advertise(),
        region: options.node.region.clone(),
        az: options.node.az.clone(),
    };
    let (applicant, deadline) = (identity::Applicant::new()?, Instant::now() + JOIN_TIMEOUT);
    loop {
        match applicant.enroll(&token, &meta).await {
            Ok(joined) => {
                joined.identity.save(&folder)?;
                return Ok(joined.identity.node);
            }
            Err(identity::IdentityError::Unreachable(_)) if Instant::now() < deadline => sleep(RETRY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The identity on disk, or a new one; the authority comes along when this node founds the cluster.
pub(crate) async fn open_identity(
    options: &NodeOptions,
) -> Result<(identity::Identity, Option<identity::Authority>), NodeError> {
    let folder = options.node.data_dir.join(IDENTITY_FOLDER);
    if !identity::Identity::exists(&folder) && options.cluster.bootstrap {
        let authority = identity::Authority::generate(&options.cluster.name)?;
        let identity = authority.identity(FOUNDER)?;
        // The key is needed again if the process dies before the authority is replicated.
        write_authority(options, &authority)?;
        identity.save(&folder)?;
        return Ok((identity, Some(authority)));
    }
    if !identity::Identity::exists(&folder) {
        join(options).await?;
    }
    let identity = identity::Identity::load(&folder)?;
    let authority = if identity.node == FOUNDER { read_authority(options)? } else { None };
    Ok((identity, authority))
}

/// First entries of a new cluster: authority, root access key, node counter. Safe to repeat after a crash.
pub(crate) async fn found(
    options: NodeOptions,
    authority: identity::Authority,
    handle: Handle,
    store: ConfigStore,
) -> Result<(), NodeError> {
    match handle.bootstrap(group::CONFIG).await {
        Ok(()) | Err(tidegate_cluster::Error::Initialised(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let root = root_credential(&options)?;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::AUTHORITY, 0).compare(key::NODE_COUNTER, 0);
    let record = Authority { certificate_pem: authority.cert_pem().to_owned(), key_pem: authority.key_pem() };
    transaction.put(key::AUTHORITY, &record);
    transaction.put(key::NODE_COUNTER, &NodeCounter { last: FOUNDER });
    let mut ticket_secret = [0; 32];
    rand::rng().fill_bytes(&mut ticket_secret);
    transaction.put(key::TICKET_SECRET, &TicketSecret::new(ticket_secret));
    transaction.put(key::credential(&root.access_key_id), &root);
    loop {
        match store.commit(transaction.clone()).await {
            // A conflict means that an earlier start got this far.
            Ok(OutcomeV1::Committed { .. } | OutcomeV1::Conflict { .. }) => break,
            Ok(OutcomeV1::Refused { reason }) => return Err(NodeError::Found(reason)),
            Err(StoreError::Stopped) => return Ok(()),
            Err(_) => sleep(RETRY).await,
        }
    }
    let _ = std::fs::remove_file(authority_file(&options));
    Ok(())
}

fn root_credential(options: &NodeOptions) -> Result<Credential, NodeError> {
    let account = &options.control.account_id;
    let (access_key_id, secret_access_key) = match &options.control.root_access_key_id {
        Some(id) => {
            let path = options.control.root_secret_access_key_file.clone().ok_or(NodeError::RootSecret)?;
            let secret = std::fs::read_to_string(&path).map_err(|reason| NodeError::File { path, reason })?;
            (id.clone(), secret.trim().to_owned())
        }
        None => generated_root(options)?,
    };
    let arn = format!("arn:aws:iam::{account}:root");
    Ok(Credential {
        access_key_id,
        secret_access_key,
        account_id: account.clone(),
        arn,
        user_id: account.clone(),
        ..Default::default()
    })
}

/// A fresh root access key, left for the operator in a private file.
fn generated_root(options: &NodeOptions) -> Result<(String, String), NodeError> {
    let mut bytes = [0; 56];
    rand::rng().fill_bytes(&mut bytes);
    let text: String = bytes
        .iter()
        .map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]))
        .collect();
    let (id, secret) = text.split_at(16);
    let id = format!("AKIA{id}");
    let path = options.node.data_dir.join("root-access-key");
    let lines = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    write_private(&path, lines.as_bytes())?;
    tracing::warn!(path = %path.display(), "a root access key was generated; keep the file safe");
    Ok((id, secret.to_owned()))
}

fn authority_file(options: &NodeOptions) -> PathBuf {
    options.node.data_dir.join("authority.pem")
}

fn write_authority(options: &NodeOptions, authority: &identity::Authority) -> Result<(), NodeError> {
    write_private(
        &authority_file(options),
        format!("{}{}", authority.cert_pem(), authority.key_pem()).as_bytes(),
    )
}

fn read_authority(options: &NodeOptions) -> Result<Option<identity::Authority>, NodeError> {
    const KEY: &str = "-----BEGIN PRIVATE KEY-----";
    let Ok(text) = std::fs::read_to_string(authority_file(options)) else { return Ok(None) };
    let at = text.find(KEY).unwrap_or(text.len());
    Ok(Some(identity::Authority::from_pem(&text[..at], &text[at..])?))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let write = || {
        let mut file =
            std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|reason| NodeError::File { path: path.to_owned(), reason })
}
