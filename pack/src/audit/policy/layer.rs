//! What one file says of policy, before it is joined with what others say.

use super::{Action, Clarification, Exception, LicenseRules, MissingFacts, SandboxLevel, Setting};

/// What one file says. On what it does not say, others decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    /// The file, as a reader would call it.
    pub name: String,
    /// Which licenses may be shipped.
    pub licenses: Option<LicenseRules>,
    /// What may be shipped all the same.
    pub exceptions: Vec<Exception>,
    /// What words and components mean.
    pub clarifications: Vec<Clarification>,
    /// What policies that are joined below this one may do.
    pub grants: Grants,
    /// See [`Policy::unlicensed`](super::Policy::unlicensed).
    pub unlicensed: Option<Setting<Action>>,
    /// See [`Policy::unknown`](super::Policy::unknown).
    pub unknown: Option<Setting<Action>>,
    /// See [`Policy::missing_facts`](super::Policy::missing_facts).
    pub missing_facts: Option<Setting<MissingFacts>>,
    /// See [`Policy::deprecated`](super::Policy::deprecated).
    pub deprecated: Option<Setting<Action>>,
    /// See [`Policy::sandbox`](super::Policy::sandbox).
    pub sandbox: Option<Setting<SandboxLevel>>,
    /// See [`Policy::max_exception_days`](super::Policy::max_exception_days).
    pub max_exception_days: Option<Setting<u32>>,
    /// See [`Policy::soon_days`](super::Policy::soon_days).
    pub soon_days: Option<Setting<u32>>,
    /// See [`Policy::unused_allow`](super::Policy::unused_allow).
    pub unused_allow: Option<Setting<Action>>,
    /// See [`Policy::unused_exception`](super::Policy::unused_exception).
    pub unused_exception: Option<Setting<Action>>,
}

/// What a policy lets those do that are joined below it. Nothing of this only tightens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants {
    /// Their exceptions also lift what it denies.
    pub exceptions: bool,
    /// They may say what words and components mean.
    pub clarifications: bool,
}
