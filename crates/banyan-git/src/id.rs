//! Object ids as libgit2 has them, and back.

use banyan_core::{BlobId, CommitId, TreeId};
use git2::Oid;

use crate::GitError;

/// An id of one kind of object, as libgit2's.
pub(crate) trait ObjectId: Sized {
    fn oid(&self) -> Oid;
    fn from_oid(oid: Oid) -> Self;
}

macro_rules! object_id {
    ($name:ident) => {
        impl ObjectId for $name {
            fn oid(&self) -> Oid {
                // `from_bytes` refuses other lengths than that of an id only.
                Oid::from_bytes(self.as_bytes()).unwrap_or(Oid::ZERO_SHA1)
            }

            fn from_oid(oid: Oid) -> Self {
                let bytes = oid.as_bytes();
                if let Ok(id) = bytes.try_into() {
                    return Self::from_sha256(id);
                }
                let mut id = [0; 20];
                for (to, from) in id.iter_mut().zip(bytes) {
                    *to = *from;
                }
                Self::from_sha1(id)
            }
        }
    };
}

object_id!(BlobId);
object_id!(CommitId);
object_id!(TreeId);

/// The id that git gives to a file of this content in the SHA-1 object format.
///
/// # Errors
/// The content is larger than git can count.
pub fn blob_id(content: &[u8]) -> Result<BlobId, GitError> {
    let id = Oid::hash_object(git2::ObjectType::Blob, content);
    id.map(BlobId::from_oid)
        .map_err(|error| GitError::object("blob", Oid::ZERO_SHA1, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_for_libgit2() {
        for digits in [40, 64] {
            let text: String = "0123456789abcdef".chars().cycle().take(digits).collect();
            let id: CommitId = text.parse().unwrap();
            assert_eq!(id.oid().to_string(), text);
            assert_eq!(CommitId::from_oid(id.oid()), id);
        }
    }

    #[test]
    fn content_has_the_id_that_git_gives_it() {
        let id = blob_id(b"hello\n").unwrap();
        assert_eq!(id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
