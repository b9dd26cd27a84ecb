//! The origin of an object, on the wire.

use banyan_core::Origin;

use crate::v1;

impl From<&Origin> for v1::Origin {
    fn from(origin: &Origin) -> Self {
        let of = |from: &str| Self {
            from: from.to_owned(),
            ..Self::default()
        };
        match origin {
            Origin::Git { commit, path, line } => Self {
                commit: commit.to_string(),
                path: path.to_string(),
                line: *line,
                ..of("git")
            },
            Origin::Api => of("api"),
            Origin::File => of("file"),
            Origin::Bootstrap => of("bootstrap"),
        }
    }
}

impl v1::Origin {
    /// The origin of built-in objects.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            from: "built-in".to_owned(),
            ..Self::default()
        }
    }
}
