//! `pith pack --load`: images into engines of this machine, by whoever runs them.

use std::{fs, path::Path};

use store::{
    MemoryNode,
    testing::{add_tree, memory_tree, open},
};
use tests::{Finished, TestEnv, is_root, run};

/// Puts a program into the store. Returns its path.
fn add_program(env: &TestEnv) -> String {
    let store = open(env.store()).expect("the place is ours");
    let tree = memory_tree(&[("bin/app", MemoryNode::program("#!/bin/sh\n"))]);
    let program = add_tree(&store, "app-1", tree, &[]).expect("the disk has room");
    program.path.to_logical()
}

#[test]
fn without_podman_no_layer_is_made() {
    let env = TestEnv::new();
    let program = add_program(&env);
    let mut command = env.pack_into_podman(&[&program, "--no-check", "-q"]);
    command.env("PATH", env.path("home"));
    let said = run(&mut command).expect_status(1);
    assert_eq!(
        said.stderr,
        "error: cannot start `podman`\n  caused by: No such file or directory (os error 2)\n\
         hint: install podman, or write a file and load that where podman is\n"
    );
    let layers = fs::read_dir(env.store().join("var/layers"));
    assert_eq!(layers.expect("a store has it").count(), 0);
}

/// The podman of an ordinary user who has no other identities, with images of their own.
struct UserPodman(TestEnv);

impl UserPodman {
    fn run(&self, program: &Path, arguments: &[&str]) -> Finished {
        let mut command = self.0.program(program);
        command.args(arguments);
        run(command.env("XDG_RUNTIME_DIR", self.0.path("home")))
    }

    /// `pith pack` with `--load podman`.
    fn load(&self, arguments: &[&str]) -> Finished {
        let pack = ["pack", "--no-check", "-v", "--load", "podman"];
        let binary = self.0.path("pith-binary");
        self.run(&binary, &[&pack, arguments].concat())
            .expect_success()
    }

    fn podman(&self, arguments: &[&str]) -> Finished {
        self.run(Path::new("podman"), arguments)
    }
}

impl Drop for UserPodman {
    fn drop(&mut self) {
        // Ends the process that keeps its user namespace. One that is left is in nobody's way.
        let _ended: Finished = self.podman(&["system", "migrate"]);
    }
}

#[test]
fn the_podman_of_an_ordinary_user_pulls_what_it_lacks() {
    if !is_root() {
        // Everything that loads images is tested by one.
        return;
    }
    let env = TestEnv::new();
    let program = add_program(&env);
    let store = env.store().display().to_string();
    env.tool("chown", &["-R", "12345:12345", &store])
        .expect_success();
    let user = UserPodman(env.as_user(12345));
    for (name, lacked) in [
        // The program, and the files that every image has of its own.
        ("localhost/app:1", "podman lacked 2 layers of the image\n"),
        ("localhost/app:1", "podman lacked 0 layers of the image\n"),
        ("localhost/other:1", "podman lacked 1 layer of the image\n"),
    ] {
        let said = user.load(&[&program, "-n", name]);
        assert!(said.stderr.contains(lacked), "{name}\n{}", said.stderr);
        assert_eq!(said.line(), name);
        let exists = user.podman(&["image", "exists", name]);
        exists.expect_success();
    }
}
