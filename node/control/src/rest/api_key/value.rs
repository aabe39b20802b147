//! Values of API keys: what they may be, how they are made, hashed, sealed and opened. Owns the secret they are sealed under; must
//! never write a value into a record.

use sha2::{Digest, Sha256};
use tidegate_proto::{
    document::{ApiKey, ApiKeyValue, SealSecret},
    key::SEAL_SECRET,
    limits::{API_KEY_VALUE_CHARS_MAX, API_KEY_VALUE_CHARS_MIN},
    transaction::TransactionV1,
};
use tidegate_state::State;

use crate::{
    call::Call,
    error::ApiError,
    seal::{NONCE_BYTES, Seal},
    stamps::Stamps,
};

/// Characters of a generated value, as at AWS; 62 symbols each make 238 bits.
const GENERATED_CHARS: usize = 40;
const SYMBOLS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Seals and opens the values of keys.
#[derive(Debug)]
pub(in crate::rest) struct Vault {
    /// `None` when the cluster has no secret, and so no sealed value either.
    seal: Option<Seal>,
}

impl Vault {
    /// The vault of a configuration, for reading.
    pub(in crate::rest) fn open(view: &State) -> Result<Self, ApiError> {
        let found = view.read::<SealSecret>(SEAL_SECRET)?.map(|found| found.document);
        let seal = found.map(|document| {
            let secret = document.secret().ok_or_else(|| fault("the seal secret does not hold 32 bytes"))?;
            Seal::new(&secret).map_err(|_| fault("the seal cannot be made"))
        });
        Ok(Self { seal: seal.transpose()? })
    }

    /// The vault of a configuration, for writing: the first writer brings the secret along.
    pub(super) fn open_or_make(call: &Call<'_>, transaction: &mut TransactionV1) -> Result<Self, ApiError> {
        let vault = Self::open(call.view)?;
        if vault.seal.is_some() {
            return Ok(vault);
        }
        let secret = call.stamps.secret();
        transaction.compare(SEAL_SECRET, 0).put(SEAL_SECRET, &SealSecret::new(secret));
        let seal = Seal::new(&secret).map_err(|_| fault("the seal cannot be made"))?;
        Ok(Self { seal: Some(seal) })
    }

    /// Puts a value into a key that has its id.
    pub(super) fn enclose(&self, call: &Call<'_>, key: &mut ApiKey, value: &str) -> Result<(), ApiError> {
        let seal = self.seal.as_ref().ok_or_else(|| fault("the cluster has no seal secret"))?;
        let nonce: [u8; NONCE_BYTES] = call.stamps.secret();
        key.sealed_value =
            seal.seal(value, &key.id, nonce).map_err(|_| fault("the value cannot be sealed"))?;
        key.value_sha256 = sha256_hex(value);
        Ok(())
    }

    /// The value of a key. One that does not open is not printed: its record is damaged, or came from another cluster.
    pub(in crate::rest) fn value(&self, key: &ApiKey) -> Option<String> {
        let value = self.seal.as_ref().and_then(|seal| seal.open(&key.sealed_value, &key.id));
        if value.is_none() {
            tracing::warn!(key = key.id, "the sealed value of an API key does not open");
        }
        value
    }
}

/// A value that nobody can guess.
pub(super) fn generate(stamps: &Stamps) -> String {
    // A word per character keeps the bias of the remainder below 2^-58.
    let symbol = |_| SYMBOLS[(u64::from_le_bytes(stamps.secret()) % 62) as usize] as char;
    (0..GENERATED_CHARS).map(symbol).collect()
}

/// Requires that callers can show a value, which comes in a header.
pub(super) fn check(value: String) -> Result<String, ApiError> {
    let chars = value.chars().count();
    if chars > API_KEY_VALUE_CHARS_MAX {
        return Err(ApiError::bad_request(format!(
            "API Key value exceeds maximum size of {API_KEY_VALUE_CHARS_MAX} characters"
        )));
    }
    if chars < API_KEY_VALUE_CHARS_MIN {
        return Err(ApiError::bad_request(format!(
            "API Key value should be at least {API_KEY_VALUE_CHARS_MIN} characters"
        )));
    }
    match value.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(value),
        false => Err(ApiError::bad_request("API Key value must be visible ASCII characters without blanks")),
    }
}

/// What a value is looked up by.
pub(super) fn sha256_hex(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The document that names the key of a value.
pub(super) fn index(key_id: &str) -> ApiKeyValue {
    ApiKeyValue { key_id: key_id.to_owned(), ..ApiKeyValue::default() }
}

fn fault(text: &str) -> ApiError {
    ApiError::internal(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_values_have_the_shape_of_awss() {
        let stamps = Stamps::new(0, 0, [3; 32]);
        let values: Vec<String> = (0..200).map(|_| generate(&stamps)).collect();
        for value in &values {
            assert!(value.len() == 40 && value.bytes().all(|b| b.is_ascii_alphanumeric()), "{value}");
            assert_eq!(check(value.clone()).as_ref(), Ok(value));
        }
        let all: String = values.concat();
        assert!(SYMBOLS.iter().all(|symbol| all.contains(char::from(*symbol))));
        let distinct: std::collections::BTreeSet<&String> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }

    #[test]
    fn a_hash_is_the_one_of_fips_180() {
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
