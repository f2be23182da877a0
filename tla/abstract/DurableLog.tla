----------------------------- MODULE DurableLog -----------------------------
(* What a log is to those above: entries are appended, acknowledged, and kept *)
(* over crashes.  A crash keeps all that were acknowledged and, of the others,*)
(* a prefix, or any if several streams take part (which: StreamCut says).     *)
EXTENDS Naturals, Sequences
CONSTANTS Groups,     \* what may be appended in one step: sequences of entries
          Ordered     \* a crash keeps a prefix
VARIABLES log, acked
Within(s) == {s[i] : i \in DOMAIN s}
Init == log = <<>> /\ acked = {}
Add == \E more \in Groups : log' = log \o more /\ acked' = acked
(* One, or all up to one.                                                     *)
Ack == \E i \in DOMAIN log : \E some \in {{log[i]}, Within(SubSeq(log, 1, i))} : acked' = acked \cup some /\ log' = log
Kept == IF Ordered THEN {SubSeq(log, 1, n) : n \in 0..Len(log)}
        ELSE {SelectSeq(log, LAMBDA e : e \in some) : some \in SUBSET Within(log)}
Crash == \E kept \in Kept : acked \subseteq Within(kept) /\ log' = kept /\ acked' = acked
Next == Add \/ Ack \/ Crash
Spec == Init /\ [][Next]_<<log, acked>>
=============================================================================
