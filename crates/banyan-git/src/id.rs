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
                let mut id = [0; 20];
                for (to, from) in id.iter_mut().zip(oid.as_bytes()) {
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

/// The id that git gives to a file of this content.
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
        let text = "0123456789abcdef0123456789abcdef01234567";
        let id: CommitId = text.parse().unwrap();
        assert_eq!(id.oid().to_string(), text);
        assert_eq!(CommitId::from_oid(id.oid()), id);
    }

    #[test]
    fn content_has_the_id_that_git_gives_it() {
        let id = blob_id(b"hello\n").unwrap();
        assert_eq!(id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
