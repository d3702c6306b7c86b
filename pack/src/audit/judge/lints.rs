//! What is wrong with the policy itself.

use crate::audit::{
    Code, Diagnostic, Place, Severity,
    policy::{Action, Subject},
};

use super::session::{Session, is_needed};

impl Session<'_> {
    pub(super) fn check_policy(&mut self) {
        self.check_exceptions();
        self.check_clarifications();
        for loosened in &self.policy.loosened {
            let message = format!(
                "{} has no effect: it would loosen what {} says",
                loosened.what, loosened.by
            );
            self.add(Code::P109, Severity::Warning, message, &loosened.place);
        }
        // What follows a file's own words is the built-in list, which nobody has to look after.
        let entries = self.policy.licenses.iter().flat_map(|one| {
            let own = one.allow.iter();
            let own = own.filter(|entry| entry.place.file == one.place.file);
            own.map(move |entry| (one, entry))
        });
        for (licenses, entry) in entries {
            if let Some(denied) = licenses
                .deny
                .iter()
                .find(|denied| denied.pattern == entry.pattern)
            {
                let message = format!(
                    "`{}` is allowed here and denied at {}",
                    entry.pattern, denied.place
                );
                self.add(Code::P102, Severity::Warning, message, &entry.place);
            }
            if self.policy.unused_allow.value == Action::Warn
                && !is_needed(&entry.pattern, &self.chosen)
            {
                let message = format!("no component is under `{}`", entry.pattern);
                self.add(Code::P104, Severity::Warning, message, &entry.place);
            }
        }
    }

    fn check_exceptions(&mut self) {
        for (at, exception) in self.policy.exceptions.iter().enumerate() {
            let days = self.today.days_until(exception.until);
            let about = format!("the exception for `{}`", exception.component);
            let place = &exception.place;
            if exception.is_expired(self.today) {
                let message = format!(
                    "{about} ended on {}; its owner is {}",
                    exception.until, exception.owner
                );
                self.add(Code::P103, Severity::Denied, message, place);
                continue;
            }
            if days > i64::from(self.policy.max_exception_days.value) {
                let message = format!(
                    "{about} lasts {days} days more, and {} are allowed by {}",
                    self.policy.max_exception_days.value, self.policy.max_exception_days.place
                );
                self.add(Code::P108, Severity::Denied, message, place);
            }
            if days <= i64::from(self.policy.soon_days.value) {
                let message = format!(
                    "{about} ends on {}, in {days} days; its owner is {}",
                    exception.until, exception.owner
                );
                self.add(Code::P107, Severity::Warning, message, place);
            }
            if self.policy.unused_exception.value == Action::Warn
                && !self.used_exceptions.borrow().contains(&at)
            {
                let is_there = self
                    .inventory
                    .units
                    .iter()
                    .any(|unit| exception.component.fits(unit));
                let why = if is_there && exception.reach > 0 {
                    "nothing that it may lift is denied; what a policy before it denies it may lift only if that one says so, by `grant.exceptions`"
                } else if is_there {
                    "nothing that it allows would be denied"
                } else {
                    "there is no such component"
                };
                self.add(
                    Code::P106,
                    Severity::Warning,
                    format!("{about} is not needed: {why}"),
                    place,
                );
            }
        }
    }

    /// A bill has no words, so that no clarification of words can be looked at by it.
    fn check_clarifications(&mut self) {
        for (at, clarification) in self.policy.clarifications.iter().enumerate() {
            let message = match &clarification.subject {
                _ if self.used_clarifications.contains(&at) => continue,
                Subject::Notice(_) if self.inventory.is_bill => continue,
                Subject::Notice(digest) => {
                    format!("no source has the notice sha256:{digest} that is clarified here")
                }
                Subject::Component(pattern) => {
                    format!("there is no component `{pattern}` that is clarified here")
                }
            };
            self.add(Code::P105, Severity::Denied, message, &clarification.place);
        }
    }

    fn add(&mut self, code: Code, severity: Severity, message: String, place: &Place) {
        let mut diagnostic = Diagnostic::new(code, severity, message);
        diagnostic.place = Some(place.clone());
        self.diagnostics.push(diagnostic);
    }
}
