//! Machines: keys, routes and addresses.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::place;
use crate::catalog::Catalog;
use crate::{At, ClusterSpec, Document, Finding, MachineSpec, control_range_v6};

impl Catalog {
    pub(super) fn check_machine(
        &self,
        machine: &Document<MachineSpec>,
        findings: &mut Vec<Finding>,
    ) {
        self.check_key(machine, findings);
        for route in &machine.spec.routes {
            self.check_overlap(machine, route, findings);
        }
        if let Some(cluster) = self.cluster() {
            check_reserved(machine, &reserved(cluster), findings);
            if let Some(address) = &machine.spec.mesh_address {
                self.check_mesh_address(machine, address, cluster.spec.mesh_range.value, findings);
            }
            let plain_allowed = !cluster.spec.require_sealed;
            self.check_sealed(
                &machine.path,
                &machine.spec.public_key,
                plain_allowed,
                findings,
            );
        }
    }

    /// If machines share a key, reports each but the first by name.
    fn check_key(&self, machine: &Document<MachineSpec>, findings: &mut Vec<Finding>) {
        let name = &machine.name.value;
        let first = (machine.spec.public_key.value.value())
            .and_then(|key| self.index.keys.before(key, name))
            .and_then(|first| self.machines.first().get(first));
        if let Some(first) = first {
            let message = format!(
                "machine {name} has the same public key as machine {} ({})",
                first.name.value,
                place(first)
            );
            let pos = machine.spec.public_key.pos;
            findings.push(
                Finding::error(&machine.path, pos, "duplicate-key", message)
                    .help("every machine needs its own key; generate a new one for one of them"),
            );
        }
    }

    /// Two ranges are either disjoint or nested, so a route overlaps exactly if an earlier route contains it.
    fn check_overlap(
        &self,
        machine: &Document<MachineSpec>,
        route: &At<IpNet>,
        findings: &mut Vec<Finding>,
    ) {
        let owner = (machine.name.value.clone(), route.pos);
        let Some((outer, (owner, pos))) = self.index.outermost(&route.value, &owner) else {
            return;
        };
        let path = self.machines.first().get(owner).map(|owner| &owner.path);
        let message = format!(
            "route {} overlaps route {outer} of machine {owner} ({}:{})",
            route.value,
            path.unwrap_or(&machine.path),
            pos.line
        );
        findings.push(
            Finding::error(&machine.path, route.pos, "overlapping-routes", message)
                .help("a subnet can be behind one machine only"),
        );
    }

    fn check_mesh_address(
        &self,
        machine: &Document<MachineSpec>,
        address: &At<Ipv4Addr>,
        range: Ipv4Net,
        findings: &mut Vec<Finding>,
    ) {
        let at = address.value;
        let mut push = |rule, message: String, help: &str| {
            findings.push(Finding::error(&machine.path, address.pos, rule, message).help(help));
        };
        if !range.contains(&at) || at == range.network() || at == range.broadcast() {
            let message =
                format!("mesh address {at} is not a host address in the mesh range {range}");
            push(
                "address-outside-range",
                message,
                "choose one in the range, or omit the field",
            );
        }
        if let Some(owner) = self.index.mesh.before(&at, &machine.name.value) {
            let message = format!("mesh address {at} is taken by machine {owner}");
            push(
                "address-taken",
                message,
                "choose another, or omit the field",
            );
        }
    }
}

fn reserved(cluster: &Document<ClusterSpec>) -> [(&'static str, IpNet); 3] {
    [
        ("control", cluster.spec.control_range.value.into()),
        ("control", control_range_v6().into()),
        ("mesh", cluster.spec.mesh_range.value.into()),
    ]
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// The two ranges of the cluster must not overlap.
pub(super) fn check_ranges(cluster: &Document<ClusterSpec>, findings: &mut Vec<Finding>) {
    let control = cluster.spec.control_range.value;
    let mesh = &cluster.spec.mesh_range;
    if overlap(&control.into(), &mesh.value.into()) {
        let message = format!("mesh range {} overlaps control range {control}", mesh.value);
        findings.push(
            Finding::error(&cluster.path, mesh.pos, "overlapping-ranges", message)
                .help("choose two ranges that share no address"),
        );
    }
}

fn check_reserved(
    machine: &Document<MachineSpec>,
    reserved: &[(&str, IpNet)],
    findings: &mut Vec<Finding>,
) {
    for route in &machine.spec.routes {
        for (what, range) in reserved {
            if overlap(&route.value, range) {
                let message = format!("route {} overlaps the {what} range {range}", route.value);
                findings.push(
                    Finding::error(&machine.path, route.pos, "reserved-route", message)
                        .help("the tunnels' own addresses cannot be routed elsewhere"),
                );
            }
        }
    }
}
