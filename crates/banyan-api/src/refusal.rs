//! Why an engine that answers cannot do something now, as opposed to an engine that does not answer.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The metadata key.
const KEY: &str = "banyan-reason";

/// What the engine needs but cannot reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The store does not answer.
    Store,
    /// No engine leads, or the leader has not answered.
    Leader,
}

impl Unavailable {
    const ALL: [Self; 2] = [Self::Store, Self::Leader];

    fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Leader => "leader",
        }
    }

    /// The status for this cause.
    #[must_use]
    pub fn refusal(self, message: impl Into<String>) -> Status {
        let mut status = Status::new(Code::Unavailable, message);
        let reason = MetadataValue::from_static(self.as_str());
        status.metadata_mut().insert(KEY, reason);
        status
    }

    /// The cause in a status.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let said = status.metadata().get(KEY)?;
        Self::ALL
            .into_iter()
            .find(|lack| said.as_bytes() == lack.as_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_and_nothing_is_read_into_other_answers() {
        for lack in Unavailable::ALL {
            let status = lack.refusal("so it is");
            assert_eq!(
                (Unavailable::of(&status), status.code()),
                (Some(lack), Code::Unavailable)
            );
        }
        assert_eq!(Unavailable::of(&Status::unavailable("the store")), None);
    }
}
