use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Address {
    parse_address(text, None, false).expect("an address")
}

const ANSWER: &str = "\
a1 10.0.0.1:7000@17000,node1 myself,master - 0 1 3 connected 0-5460 [93-<-b2]
b2 10.0.0.2:7000@17000 master - 0 1 2 connected 5461-10922
c3 10.0.0.3:7000@17000 master,fail - 0 1 1 disconnected 10923-16383
d4 10.0.0.4:7000@17000 slave c3 0 1 1 connected
";

#[test]
fn an_answer_says_who_serves_what() {
    let mut topology = Topology::default();
    topology.merge(&address("10.0.0.1:7000"), ANSWER, false);
    assert_eq!(topology.master_of(93), Some(address("10.0.0.1:7000")));
    assert_eq!(topology.master_of(5_461), Some(address("10.0.0.2:7000")));
    assert_eq!(topology.master_of(16_383), None);
    assert_eq!(topology.addresses().len(), 4);
}

#[test]
fn a_master_that_was_succeeded_is_not_believed() {
    let newer = "d4 10.0.0.4:7000@17000 myself,master - 0 1 9 connected 0-5460\n";
    for order in [[ANSWER, newer], [newer, ANSWER]] {
        let mut topology = Topology::default();
        for text in order {
            topology.merge(&address("10.0.0.1:7000"), text, false);
        }
        assert_eq!(topology.master_of(0), Some(address("10.0.0.4:7000")));
    }
}

#[test]
fn a_node_that_does_not_know_its_address_has_the_one_it_was_asked_at() {
    let mut topology = Topology::default();
    topology.merge(
        &address("h:7000"),
        "a1 :7000@17000 myself,master - 0 0 0 connected 0-16383\n",
        false,
    );
    assert_eq!(topology.master_of(7), Some(address("h:7000")));
}

#[test]
fn encrypted_nodes_are_reached_by_the_name_that_they_announce() {
    let text = "a1 10.0.0.1:7000@17000,node1.example,shard-id=x myself,master - 0 0 1 connected 0-99\n\
                b2 10.0.0.2:7000@17000,,shard-id=y master - 0 0 2 connected 100-199\n\
                c3 10.0.0.3:7000@17000,shard-id=z master - 0 0 3 connected 200-299\n";
    let found = |by_name| {
        let mut topology = Topology::default();
        topology.merge(&address("h:1"), text, by_name);
        [0, 100, 200].map(|slot| topology.master_of(slot).map(|address| address.host))
    };
    let some = |hosts: [&str; 3]| hosts.map(|host| Some(host.to_owned()));
    assert_eq!(found(true), some(["node1.example", "10.0.0.2", "10.0.0.3"]));
    assert_eq!(found(false), some(["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
}

#[test]
fn redirections_are_understood() {
    let found = Redirection::parse("MOVED", "3999 127.0.0.1:6381").expect("a redirection");
    assert_eq!((found.slot, found.for_good), (3_999, true));
    assert_eq!(Redirection::parse("ASK", "3999 :0"), None);
    assert_eq!(Redirection::parse("MOVED", "99999 h:1"), None);
    assert_eq!(Redirection::parse("MOVED", "16384 h:1"), None);
    let found = Redirection::parse("ASK", "16383 h:1").expect("the last slot");
    assert_eq!((found.slot, found.for_good), (16_383, false));
}

#[test]
fn what_a_node_served_is_unknown_when_it_is_forgotten() {
    let mut topology = Topology::default();
    assert!(topology.is_empty());
    assert_eq!(topology.any_master(), None);
    topology.merge(&address("10.0.0.1:7000"), ANSWER, false);
    assert!(!topology.is_empty());
    let (first, second) = (address("10.0.0.1:7000"), address("10.0.0.2:7000"));
    assert_eq!(topology.any_master(), Some(first.clone()));
    topology.forget(&address("h:1"));
    topology.forget(&first);
    assert_eq!(topology.master_of(93), None);
    assert_eq!(topology.master_of(5_461), Some(second.clone()));
    assert_eq!(topology.any_master(), Some(second.clone()));
    topology.forget(&second);
    assert_eq!(topology.any_master(), None);
    assert_eq!(topology.addresses().len(), 4, "they may be asked again");
}

#[test]
fn nodes_that_cannot_be_reached_are_not_read() {
    for flags in ["master,noaddr", "handshake,master"] {
        let mut topology = Topology::default();
        let text = format!("a1 h:7@1 {flags} - 0 0 1 connected 0-5\n");
        topology.merge(&address("h:1"), &text, false);
        assert_eq!(topology.addresses(), [], "{flags}");
    }
}

/// A replica that is promoted is a master and nothing else, and a master that is heard of again is not another one.
#[test]
fn every_node_is_known_once() {
    let mut topology = Topology::default();
    topology.merge(&address("10.0.0.1:7000"), ANSWER, false);
    let others = || [address("10.0.0.3:7000"), address("10.0.0.4:7000")];
    assert_eq!(topology.others, others());
    topology.merge(&address("10.0.0.1:7000"), ANSWER, false);
    assert_eq!(topology.others, others());
    let demoted = "a1 10.0.0.1:7000@1 slave d4 0 1 9 connected\n\
                   d4 10.0.0.4:7000@1 master - 0 1 9 connected 0-5460\n";
    topology.merge(&address("10.0.0.4:7000"), demoted, false);
    assert_eq!(topology.addresses().len(), 4);
    assert_eq!(topology.others, [address("10.0.0.3:7000")]);
    assert_eq!(topology.master_of(0), Some(address("10.0.0.4:7000")));
}

#[test]
fn of_two_that_claim_a_slot_in_one_epoch_the_first_is_believed() {
    let mut topology = Topology::default();
    let text = "a1 h:7@1 master - 0 0 1 connected 0-5\nb2 h:8@1 master - 0 0 1 connected 5-9\n";
    topology.merge(&address("h:1"), text, false);
    assert_eq!(topology.master_of(5), Some(address("h:7")));
    assert_eq!(topology.master_of(6), Some(address("h:8")));
}

#[test]
fn ranges_are_read_as_far_as_there_are_slots() {
    let served = |ranges: &str| {
        let mut topology = Topology::default();
        let text = format!("a1 h:7@1 master - 0 0 1 connected {ranges}\n");
        topology.merge(&address("h:1"), &text, false);
        (0..=u16::MAX)
            .filter(|&slot| topology.master_of(slot).is_some())
            .count()
    };
    assert_eq!(served("0-16383"), SLOTS);
    assert_eq!(served("16383"), 1);
    for wrong in ["16384", "0-16384", "9-8", "x-9", "-"] {
        assert_eq!(served(wrong), 0, "{wrong}");
    }
    assert_eq!(served("0-99 100-16383"), SLOTS, "each slot counts once");
    assert_eq!(served("9 9 0-16381"), 16_382, "as many as there are");
    assert_eq!(served("9 9 0-16382"), 1, "more than there are");
    assert_eq!(served("100-16383 0-99 7"), SLOTS);
}

#[test]
fn masters_and_others_together_have_the_limit() {
    let line =
        |node: usize, role: &str| format!("n{node} h:{}@1 {role} - 0 0 1 connected", node + 1);
    let masters: String = (0..3_000)
        .map(|node| format!("{} {node}\n", line(node, "master")))
        .collect();
    let replicas: String = (3_000..6_000)
        .map(|node| format!("{}\n", line(node, "slave")))
        .collect();
    let mut topology = Topology::default();
    topology.merge(&address("h:1"), &masters, false);
    topology.merge(&address("h:1"), &replicas, false);
    assert_eq!(topology.addresses().len(), Topology::MAX_NODES);
    // Nobody is too many who is known.
    let moved = format!("{} 3000\n", line(3_000, "master"));
    topology.merge(&address("h:1"), &moved, false);
    assert_eq!(topology.master_of(3_000), Some(address("h:3001")));
}

#[test]
fn nodes_without_number_and_slots_without_end_are_not_read() {
    let many: String = (0..20_000)
        .map(|node| {
            format!(
                "n{node} 10.0.{}.{}:7000@1 slave - 0 0 0 connected\n",
                node / 250,
                node % 250
            )
        })
        .collect();
    let mut topology = Topology::default();
    topology.merge(&address("h:1"), &many, false);
    assert_eq!(topology.addresses().len(), Topology::MAX_NODES);
    let ranges = "0-16383 ".repeat(20_000);
    let text = format!("a1 h:1@1 myself,master - 0 0 1 connected {ranges}\n");
    let mut topology = Topology::default();
    topology.merge(&address("h:1"), &text, false);
    assert_eq!(topology.master_of(7), Some(address("h:1")));
    for port in 1..10_000 {
        topology.moved(7, address(&format!("h:{port}")));
    }
    assert_eq!(topology.addresses().len(), Topology::MAX_NODES);
}

proptest! {
    #[test]
    fn garbage_is_ignored(text in "[ -~\n]{0,400}") {
        let mut topology = Topology::default();
        topology.merge(&address("h:1"), &text, false);
        let _ = topology.any_master();
        let _ = Redirection::parse("MOVED", &text);
    }
}
