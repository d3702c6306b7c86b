//! What a machine or container forbids, in words: which knob stands in the way of a step that was refused.

use std::fs;
use std::path::Path;

use crate::error::{OsError, StepError};

/// Something of the kernel that a full sandbox needs and this machine does not give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Namespaces are limited to none.
    #[error("namespaces are switched off: `{knob}` is 0")]
    NamespaceLimit {
        /// The sysctl.
        knob: String,
    },
    /// Debian's and Arch's switch.
    #[error(
        "ordinary users may not create user namespaces: `kernel.unprivileged_userns_clone` is 0"
    )]
    UnprivilegedUserNamespaces,
    /// Ubuntu's switch, since 23.10.
    #[error(
        "AppArmor takes all rights from user namespaces: `kernel.apparmor_restrict_unprivileged_userns` is 1 and no profile \
         of this program says otherwise"
    )]
    AppArmor,
    /// A container's filter or a security module.
    #[error(
        "user namespaces are refused, probably by the system call filter of the container this runs in"
    )]
    UserNamespaces,
    /// A container that hides parts of `/proc`.
    #[error(
        "a fresh `/proc` is refused: the container this runs in hides parts of its own (`unmasked` lifts that)"
    )]
    FreshProc,
    /// Mounting is refused although there is a user namespace.
    #[error(
        "mounts are refused inside a user namespace, probably by a security module or the container this runs in"
    )]
    Mounts,
    /// A call is not there.
    #[error("the kernel is too old: {what} needs Linux {since}")]
    Kernel {
        /// What was called.
        what: &'static str,
        /// The first version that has it.
        since: &'static str,
    },
}

/// The kernel's settings, read from `/proc/sys` or, in tests, from elsewhere.
#[derive(Debug)]
pub(crate) struct Knobs<'a> {
    root: &'a Path,
}

impl Knobs<'_> {
    /// The settings of this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self {
            root: Path::new("/proc/sys"),
        }
    }

    /// Returns why `error` happened, when the reason is something that the machine forbids.
    pub(crate) fn explain(&self, error: &StepError) -> Option<Missing> {
        match error {
            StepError::Namespaces { source } => self.explain_namespaces(*source),
            StepError::Proc { source } if source.is_denied() => Some(Missing::FreshProc),
            StepError::OpenSource {
                source: OsError(libc::ENOSYS),
                ..
            } => Some(Missing::Kernel {
                what: "mount_setattr(2)",
                since: "5.12",
            }),
            StepError::MapIds { source, .. }
            | StepError::BecomeUser { source, .. }
            | StepError::PrivateMounts { source }
            | StepError::RootFs { source }
                if source.is_denied() =>
            {
                Some(self.explain_mounts())
            }
            _ => None,
        }
    }

    fn explain_namespaces(&self, source: OsError) -> Option<Missing> {
        let kinds = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"];
        let limited = kinds
            .into_iter()
            .map(|kind| format!("user.max_{kind}_namespaces"))
            .find(|knob| self.read(knob) == Some(0));
        match source.0 {
            libc::ENOSPC | libc::EUSERS => limited.map(|knob| Missing::NamespaceLimit { knob }),
            libc::EINVAL | libc::ENOSYS => Some(Missing::Kernel {
                what: "a namespace",
                since: "5.12",
            }),
            libc::EPERM | libc::EACCES => Some(if let Some(knob) = limited {
                Missing::NamespaceLimit { knob }
            } else if self.read("kernel.unprivileged_userns_clone") == Some(0) {
                Missing::UnprivilegedUserNamespaces
            } else if self.apparmor_restricts() {
                Missing::AppArmor
            } else {
                Missing::UserNamespaces
            }),
            _ => None,
        }
    }

    fn explain_mounts(&self) -> Missing {
        if self.apparmor_restricts() {
            Missing::AppArmor
        } else {
            Missing::Mounts
        }
    }

    fn apparmor_restricts(&self) -> bool {
        self.read("kernel.apparmor_restrict_unprivileged_userns") == Some(1)
    }

    fn read(&self, knob: &str) -> Option<u64> {
        fs::read_to_string(self.root.join(knob.replace('.', "/")))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(
        knobs: &[(&str, &str)],
        error: &StepError,
    ) -> Result<Option<Missing>, std::io::Error> {
        let temporary = tempfile::tempdir()?;
        for (knob, value) in knobs {
            let file = temporary.path().join(knob.replace('.', "/"));
            fs::create_dir_all(file.parent().unwrap_or(temporary.path()))?;
            fs::write(file, format!("{value}\n"))?;
        }
        Ok(Knobs {
            root: temporary.path(),
        }
        .explain(error))
    }

    #[test]
    fn each_knob_is_named_when_it_stands_in_the_way() -> Result<(), std::io::Error> {
        let refused = StepError::Namespaces {
            source: OsError(libc::EPERM),
        };
        let full = StepError::Namespaces {
            source: OsError(libc::ENOSPC),
        };
        let unmounted = StepError::RootFs {
            source: OsError(libc::EACCES),
        };
        let limit = Missing::NamespaceLimit {
            knob: "user.max_user_namespaces".to_owned(),
        };
        let apparmor = ("kernel.apparmor_restrict_unprivileged_userns", "1");
        assert_eq!(
            explain(&[("user.max_user_namespaces", "0")], &full)?,
            Some(limit)
        );
        let clone = ("kernel.unprivileged_userns_clone", "0");
        assert_eq!(
            explain(&[clone], &refused)?,
            Some(Missing::UnprivilegedUserNamespaces)
        );
        assert_eq!(explain(&[apparmor], &refused)?, Some(Missing::AppArmor));
        assert_eq!(explain(&[apparmor], &unmounted)?, Some(Missing::AppArmor));
        assert_eq!(explain(&[], &unmounted)?, Some(Missing::Mounts));
        assert_eq!(
            explain(&[("user.max_user_namespaces", "9000")], &refused)?,
            Some(Missing::UserNamespaces)
        );
        Ok(())
    }

    #[test]
    fn an_error_that_is_no_refusal_is_not_explained() -> Result<(), std::io::Error> {
        let missing_file = StepError::OpenSource {
            path: "/x".into(),
            source: OsError(libc::ENOENT),
        };
        assert_eq!(explain(&[], &missing_file)?, None);
        Ok(())
    }
}
