//! The system calls a lab is made of: a network namespace, a TUN device in it, its address. Linux; needs root.
//!
//! JUSTIFICATION: namespaces and TUN devices are made by `unshare` and by `ioctl` with C structures, for which there is no safe
//! interface; the alternative, running `ip` and `nsenter`, takes a second for thirteen namespaces and leaves them behind when this
//! process is killed.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    fs::File,
    io,
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use libc::{c_int, c_short, c_ulong, ifreq, sockaddr_in};

/// Name of the device in each namespace.
const DEVICE: &CStr = c"tide0";
const LOOPBACK: &CStr = c"lo";

/// Gives the calling thread, and what it starts, a network namespace of its own. It ends with the last process and descriptor in it.
///
/// # Errors
/// Without root.
pub(super) fn leave_network() -> io::Result<()> {
    // SAFETY: a new network namespace changes which devices and sockets this thread finds, not its memory or descriptors.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread, and the threads and processes it starts, mounts of their own: what is mounted from here on is seen by no
/// other process and ends with the last of them. Must be called before the first thread is started.
///
/// # Errors
/// Without root.
pub(crate) fn leave_mounts() -> io::Result<()> {
    // SAFETY: constant strings that end with a zero byte; neither call touches memory of ours.
    let outcome = unsafe {
        match libc::unshare(libc::CLONE_NEWNS) {
            0 => libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ),
            failed => failed,
        }
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens a TUN device in the calling thread's namespace, without blocking: what is sent to other addresses is read from it, one IP
/// packet at a time.
///
/// # Errors
/// Without root, or without `/dev/net/tun`.
pub(super) fn open_tun() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    let mut request = named(DEVICE);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
    control(file.as_raw_fd(), libc::TUNSETIFF as c_ulong, &mut request)?;
    Ok(file.into())
}

/// Gives the TUN device its address in 10.0.0.0/8, and sets it and the loopback device up.
///
/// # Errors
/// From the kernel.
pub(super) fn bring_up(address: Ipv4Addr, mtu: u16, queue: u16) -> io::Result<()> {
    // SAFETY: no pointers are passed; the descriptor is checked and owned from here on.
    let socket = unsafe {
        let raw = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(raw)
    };
    let set = |name: &CStr, command: c_ulong, fill: &dyn Fn(&mut ifreq)| {
        let mut request = named(name);
        fill(&mut request);
        control(socket.as_raw_fd(), command, &mut request)
    };
    let up =
        |request: &mut ifreq| request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as c_short;
    set(LOOPBACK, libc::SIOCSIFFLAGS, &up)?;
    set(DEVICE, libc::SIOCSIFADDR, &|request| request.ifr_ifru.ifru_addr = socket_address(address))?;
    let mask = Ipv4Addr::new(255, 0, 0, 0);
    set(DEVICE, libc::SIOCSIFNETMASK, &|request| request.ifr_ifru.ifru_netmask = socket_address(mask))?;
    set(DEVICE, libc::SIOCSIFMTU, &|request| request.ifr_ifru.ifru_mtu = c_int::from(mtu))?;
    // The queue's length shares its place with the metric.
    set(DEVICE, libc::SIOCSIFTXQLEN, &|request| request.ifr_ifru.ifru_metric = c_int::from(queue))?;
    set(DEVICE, libc::SIOCSIFFLAGS, &up)
}

/// Lets the kernel kill the process that `command` starts when the thread that starts it ends, in whatever way.
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY: `prctl` is one system call without memory of ours, which is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

fn control(file: c_int, command: c_ulong, request: &mut ifreq) -> io::Result<()> {
    // SAFETY: each command of this module takes a pointer to one `ifreq`, which `request` is for the whole call.
    match unsafe { libc::ioctl(file, command as _, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn named(name: &CStr) -> ifreq {
    // SAFETY: `ifreq` is plain data, for which zeroes are a value.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = *from as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let from = sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both are plain data of sixteen bytes that begin with the family; the kernel reads the one as the other.
    unsafe { std::mem::transmute::<sockaddr_in, libc::sockaddr>(from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, as a namespace is for good.
    #[test]
    fn a_namespace_has_its_own_address() {
        let outcome = std::thread::spawn(|| {
            leave_network()?;
            let _tun = open_tun()?;
            let address = Ipv4Addr::new(10, 1, 1, 1);
            bring_up(address, 1_500, 100)?;
            std::net::UdpSocket::bind((address, 0)).map(|_| ())
        })
        .join()
        .unwrap();
        match outcome {
            Ok(()) => assert!(std::net::UdpSocket::bind((Ipv4Addr::new(10, 1, 1, 1), 0)).is_err()),
            Err(error) => assert_ne!(rustix::process::geteuid().as_raw(), 0, "root, and yet: {error}"),
        }
    }

    #[test]
    fn addresses_have_the_kernel_s_form() {
        let address = socket_address(Ipv4Addr::new(10, 2, 3, 4));
        assert_eq!(address.sa_family, libc::AF_INET as libc::sa_family_t);
        assert_eq!(address.sa_data[2..6].iter().map(|b| *b as u8).collect::<Vec<_>>(), [10, 2, 3, 4]);
    }
}
