//! Files that only whoever has a key can read: AES-256-GCM in chunks (STREAM), so that files of any size are sealed and
//! opened in little memory, and one that was cut, changed or put together differently does not open.

use std::fs::File;
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Result, Write};
use std::path::Path;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How such a file begins.
const MAGIC: &[u8; 8] = b"KITHSEA1";
const NONCE: usize = 7;
const CHUNK: usize = 64 * 1_024;
const TAG: usize = 16;

/// A key of 32 bytes, from base64.
pub fn key(text: &str) -> std::result::Result<[u8; 32], String> {
    let bytes = STANDARD.decode(text.trim()).map_err(|e| format!("expected 32 bytes in base64: {e}"))?;
    bytes.try_into().map_err(|_| "expected 32 bytes in base64 (`openssl rand -base64 32`)".to_owned())
}

/// Whether a file is sealed.
pub fn is_sealed(file: &Path) -> Result<bool> {
    let mut start = [0; MAGIC.len()];
    match File::open(file)?.read_exact(&mut start) {
        Ok(()) => Ok(&start == MAGIC),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Seals a file into a new one.
pub fn seal(key: &[u8; 32], from: &Path, to: &Path) -> Result<()> {
    let (mut from, mut to) = (BufReader::new(File::open(from)?), BufWriter::new(File::create_new(to)?));
    let nonce: [u8; NONCE] = rand::random();
    to.write_all(MAGIC)?;
    to.write_all(&nonce)?;
    let mut sealing = EncryptorBE32::from_aead(Aes256Gcm::new(key.into()), &nonce.into());
    let broken = |_| Error::other("it could not be sealed");
    let mut chunk = fill(&mut from, CHUNK)?;
    loop {
        let next = fill(&mut from, CHUNK)?;
        if next.is_empty() {
            to.write_all(&sealing.encrypt_last(&chunk[..]).map_err(broken)?)?;
            return to.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
        }
        to.write_all(&sealing.encrypt_next(&chunk[..]).map_err(broken)?)?;
        chunk = next;
    }
}

/// Opens a sealed file into a new one.
pub fn open(key: &[u8; 32], from: &Path, to: &Path) -> Result<()> {
    let (mut from, mut to) = (BufReader::new(File::open(from)?), BufWriter::new(File::create_new(to)?));
    let (mut magic, mut nonce) = ([0; MAGIC.len()], [0; NONCE]);
    from.read_exact(&mut magic)?;
    from.read_exact(&mut nonce)?;
    let broken = |_| Error::new(ErrorKind::InvalidData, "it was sealed with another key, or it is damaged");
    let mut opening = DecryptorBE32::from_aead(Aes256Gcm::new(key.into()), &nonce.into());
    let mut chunk = fill(&mut from, CHUNK + TAG)?;
    loop {
        let next = fill(&mut from, CHUNK + TAG)?;
        if next.is_empty() {
            to.write_all(&opening.decrypt_last(&chunk[..]).map_err(broken)?)?;
            return to.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
        }
        to.write_all(&opening.decrypt_next(&chunk[..]).map_err(broken)?)?;
        chunk = next;
    }
}

/// So many bytes, or as many as there are.
fn fill(from: &mut impl Read, most: usize) -> Result<Vec<u8>> {
    let mut chunk = Vec::new();
    from.take(most as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_what_was_touched_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK];
        for size in sizes {
            let plain: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            std::fs::write(at("plain"), &plain).unwrap();
            seal(&[7; 32], &at("plain"), &at("sealed")).unwrap();
            assert!(is_sealed(&at("sealed")).unwrap() && !is_sealed(&at("plain")).unwrap());
            open(&[7; 32], &at("sealed"), &at("opened")).unwrap();
            assert_eq!(std::fs::read(at("opened")).unwrap(), plain, "{size}");
            std::fs::remove_file(at("opened")).unwrap();
            let sealed = std::fs::read(at("sealed")).unwrap();
            let mut touched = sealed.clone();
            *touched.last_mut().unwrap() ^= 1;
            for wrong in
                [touched, sealed[..sealed.len() - 1].to_vec(), sealed[..sealed.len().min(MAGIC.len() + NONCE + CHUNK + TAG)].to_vec()]
            {
                if wrong == sealed {
                    continue;
                }
                std::fs::write(at("wrong"), wrong).unwrap();
                assert!(open(&[7; 32], &at("wrong"), &at("opened")).is_err(), "{size}");
                std::fs::remove_file(at("opened")).unwrap();
            }
            assert!(open(&[8; 32], &at("sealed"), &at("opened")).is_err());
            for name in ["opened", "sealed"] {
                std::fs::remove_file(at(name)).unwrap();
            }
        }
    }
}
