//! A runtime bundle: the root file system beside a `config.json` that says how it is run, for `runc run` and `crun run`. OCI runtime-spec 1.0.2.
//!
//! What is started has no capabilities, gets none, and sees its own processes only; the network is the machine's, because a runtime makes none. Root's bundle
//! runs as the image's user. Anyone else's runs in a user namespace in which the caller is root and there is nobody else, as `runc spec --rootless` has it: a
//! user without help can give one user, and runc starts in no namespace that has no root ("no user mapping found"). So `config.json`, and nothing else, depends
//! on who made the bundle; and a server that as root gives its files to another user, as nginx does, has to be told that it stays root: `user root;`.

use std::{collections::BTreeMap, path::Path};

use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};

use super::{
    SinkError, Written,
    directory::{Wanted, put_tree, wanted},
};
use crate::{Image, oci::to_canonical_json};

const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// Where the root file system lies in a bundle.
const ROOT: &str = "rootfs";
/// What runtimes mount on, and would make otherwise.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "sys"];
/// Files of the kernel that say too much of the machine; as in `runc spec`.
const MASKED: [&str; 8] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
/// Files of the kernel by which the machine could be changed; as in `runc spec`.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

pub(super) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    let config = runtime_config(image, Caller::this());
    let mut tree = BTreeMap::new();
    let directory = |mode| Wanted::Directory { mode };
    tree.insert(ROOT.into(), directory(DIRECTORY_MODE));
    for name in MOUNT_POINTS {
        tree.insert(in_root(name.as_bytes()), directory(DIRECTORY_MODE));
    }
    for (path, entry) in wanted(image)? {
        tree.insert(in_root(&path), entry);
    }
    let generated = Wanted::Generated {
        contents: &config,
        mode: FILE_MODE,
    };
    tree.insert(b"config.json".to_vec(), generated);
    put_tree(path, &tree, "a runtime bundle")
}

fn in_root(path: &[u8]) -> Vec<u8> {
    [ROOT.as_bytes(), path].join(&b'/')
}

/// Who makes the bundle, and will run it.
#[derive(Clone, Copy)]
struct Caller {
    uid: u32,
    gid: u32,
}

impl Caller {
    fn this() -> Self {
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        }
    }

    const fn is_root(self) -> bool {
        self.uid == 0
    }
}

fn runtime_config(image: &Image<'_>, caller: Caller) -> Vec<u8> {
    let run = &image.config().config;
    let (uid, gid) = if caller.is_root() {
        (image.user.uid(), image.user.gid())
    } else {
        (0, 0)
    };
    let arguments: Vec<&String> = run.entrypoint.iter().chain(&run.cmd).collect();
    to_canonical_json(&json!({
        "ociVersion": "1.0.2",
        "hostname": image.name().base_name(),
        "root": {"path": ROOT, "readonly": false},
        "process": {
            "terminal": false,
            "user": {"uid": uid, "gid": gid},
            "args": arguments,
            "env": run.env,
            "cwd": if run.working_dir.is_empty() { "/" } else { run.working_dir.as_str() },
            "capabilities": {"bounding": [], "effective": [], "permitted": [], "ambient": []},
            "noNewPrivileges": true,
        },
        "mounts": mounts(caller),
        "linux": linux(caller),
    }))
}

fn mounts(caller: Caller) -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let quiet = ["nosuid", "noexec", "nodev"];
    // Only who owns the network may mount its sysfs: others get that of the machine.
    let sys = if caller.is_root() {
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"])
    } else {
        json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
    };
    json!([
        mount("/proc", "proc", &[]),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"]
        ),
        mount(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620"
            ]
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        ),
        mount("/dev/mqueue", "mqueue", &quiet),
        sys,
    ])
}

fn linux(caller: Caller) -> Value {
    let kinds = ["pid", "ipc", "uts", "mount"];
    let user = (!caller.is_root()).then_some("user");
    let namespaces: Vec<Value> = kinds
        .into_iter()
        .chain(user)
        .map(|kind| json!({"type": kind}))
        .collect();
    let mut linux = json!({
        "namespaces": namespaces,
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
    });
    if caller.is_root() {
        linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
    } else {
        linux["uidMappings"] = json!([{"containerID": 0, "hostID": caller.uid, "size": 1}]);
        linux["gidMappings"] = json!([{"containerID": 0, "hostID": caller.gid, "size": 1}]);
    }
    linux
}
