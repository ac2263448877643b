//! Files that may turn out to be anything.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, or has more.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let problem = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tempfile::NamedTempFile;

    #[test]
    fn a_file_without_end_is_given_up() {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(b"four").unwrap();
        assert_eq!(read(file.path(), 4).unwrap(), b"four");
        let problem = read(file.path(), 3).unwrap_err();
        assert_eq!(problem.to_string(), "it has more than 3 bytes");
        assert!(read(Path::new("/dev/zero"), 1024).is_err());
    }
}
