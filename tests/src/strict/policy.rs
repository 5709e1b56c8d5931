//! What IAM does not let a caller change: a policy's conditions on the types and names of a request's RRsets
//! (`route53:ChangeResourceRecordSetsRecordTypes`, `…NormalizedRecordNames` under `ForAllValues`). One RRset that a policy
//! does not allow denies the whole request, and the words do not say which.

use super::name::Name;
use super::request::Change;
use super::syntax::RecordType;

/// RRsets that may not be changed; of any name or type where none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The owner.
    pub name: Option<Name>,
    /// The type.
    pub rtype: Option<RecordType>,
}

impl Denial {
    /// Whether it denies a request with this change in it.
    pub fn concerns(&self, change: &Change) -> bool {
        let is_named = |name: &Name| Name::parse(&change.name).is_ok_and(|changed| changed == *name);
        self.name.as_ref().is_none_or(is_named) && self.rtype.is_none_or(|rtype| rtype == change.rtype)
    }
}

/// What AWS says then.
pub fn words(id: &str) -> String {
    format!(
        "User: arn:aws:sts::123456789012:assumed-role/worker/worker is not authorized to perform: \
         route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/{id} because no identity-based \
         policy allows the route53:ChangeResourceRecordSets action"
    )
}
