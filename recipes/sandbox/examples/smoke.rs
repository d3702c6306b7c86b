use sandbox::*;
use std::sync::atomic::AtomicBool;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    helper_main_if_requested();
    let l = Launcher::new(&std::env::current_exe()?)?;
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let m = |s: &str| Mount {
        source: s.into(),
        target: s.into(),
        access: Access::ReadOnly,
    };
    let n: u32 = std::env::var("N")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let mut mounts = vec![m("/usr"), m("/lib"), m("/lib64"), m("/bin")];
    if let Some(b) = std::env::var_os("BUILD") {
        mounts.push(Mount {
            source: b.into(),
            target: "/build".into(),
            access: Access::ReadWrite,
        });
    }
    let spec = SandboxSpec {
        mounts,
        argv: args,
        cwd: "/".into(),
        env: [("PATH".into(), "/usr/bin".into())].into(),
        ..Default::default()
    };
    let t = std::time::Instant::now();
    for _ in 0..n {
        let o = l.run(
            &spec,
            &mut |b| print!("{}", String::from_utf8_lossy(b)),
            &AtomicBool::new(false),
        )?;
        if n == 1 {
            println!("{o:?}");
        }
    }
    println!("{:?} each", t.elapsed() / n);
    Ok(())
}
