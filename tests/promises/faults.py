"""Machines, networks and people that fail."""

from __future__ import annotations

from tests.promises import Promise, of

STEPS, SUBSCRIPTION = "faults/test_stock_steps.py", "faults/test_subscription.py"
CRASHES, BANK = "faults/test_checkout_crashes.py", "faults/test_checkout_bank_killed.py"
SAGA, LATE, SANDBOX = "checkout/test_saga.py", "checkout/test_late.py", "checkout/test_sandbox_answers.py"
OOM, MISCONF, FROZEN = "faults/test_oom.py", "faults/test_misconf.py", "workers/test_frozen.py"
CLUSTER, RECOVERY = "store/cluster/test_client.py", "faults/test_recovery_faults.py"
HOOKS, SENDING, RACES = "webhooks/test_deliveries.py", "webhooks/test_sending.py", "flows/test_races.py"
TORN, CLOCKS, ANSWERS = "faults/test_torn_tail.py", "faults/test_clocks.py", "faults/test_store_answers.py"
TARGET, SENTINEL, DRAIN = "webhooks/test_target.py", "faults/test_sentinel.py", "gateway/test_drain.py"

FAULTS = (
    Promise(
        "gateway_killed_around_the_step",
        "a server is killed before or after the step that takes a unit, and nobody heard",
        "a repeat of the id takes once; never repeated, it lapses and the unit is back once",
        of("faults/test_server_killed.py", "nothing_is_oversold_stranded_or_lost")
        + of(STEPS, "a_lost_answer_of_a_step_is_unavailable_to_all_of_it")
        + of("chaos/test_chaos.py", "the_books_hold_in_any_traffic"),
        of(STEPS, "repeats_that_take_again_are_found")
        + of("chaos/test_chaos.py", "a_faulty_estate_is_found"),
    ),
    Promise(
        "killed_at_every_step_of_a_checkout",
        "the process dies before or after authorization, sale, ledger, capture or answer",
        "a worker finishes or undoes the order; one authorization per key, one capture at most",
        of(CRASHES, "killed_anywhere", "every_act_is_killed_before_and_after_each_answer")
        + of(BANK, "it_dies_after_the_work_and_before_the_answer", "it_dies_when_it_lets_go"),
        of(CRASHES, "a_worker_that_forgets_to_look_is_found", "money_that_moved_twice_is_found")
        + of(BANK, "a_bank_that_does_not_remember_is_found"),
    ),
    Promise(
        "hold_lapses_while_the_provider_thinks",
        "units lapse, or go to others, during the authorization",
        "no capture without a fresh claim; gone: the payment is let go",
        of(
            SAGA,
            "units_that_are_lost_while_the_provider_thinks_cost_nothing",
            "units_that_lapse_while_the_provider_thinks_are_taken_again",
        )
        + of(LATE, "a_late_yes_for_units_that_are_gone_is_a_shortfall"),
    ),
    Promise(
        "store_killed_and_restarted",
        "SIGKILL to the store, flushing always or once a second",
        "servers reconnect, scripts are loaded again, nothing acknowledged is missing or doubled",
        of("faults/test_store_gone.py", "a_store_that_dies_is_started_again")
        + of(CRASHES, "store_and_bank_are_killed_too")
        + of("store/test_scripts.py", "a_forgotten_script_is_sent_again"),
    ),
    Promise(
        "store_stands_still",
        "the store is stopped for longer than anybody waits for an answer (5 s)",
        "`unavailable`, nothing repeated by itself, not ready, viewers stay; then all goes on",
        of(STEPS, "a_store_that_stands_still_leaves_nobody_waiting")
        + of(SUBSCRIPTION, "a_store_that_stands_still_costs_no_event")
        + of("store/test_redis.py", "a_missing_answer_is_applied_once_and_unavailable"),
        of("store/test_redis.py", "a_repeating_client_would_apply_twice"),
    ),
    Promise(
        "promoted_while_cut_off",
        "a replica that lacks the last writes becomes the primary",
        "the sale is frozen, counted anew from the ledger, orders without units are named",
        of("faults/test_failover_loss.py", "a_replica_that_is_promoted_while_it_is_cut_off")
        + of("faults/test_rebuild_faults.py", "a_promoted_replica_that_lacks_the_last_writes"),
        of("workers/test_rebuild.py", "a_naive_reopening_would_oversell"),
    ),
    Promise(
        "sentinel_failover",
        "sentinels replace the primary under buyers",
        "one unit per id; the old primary is never written to again",
        of(
            SENTINEL,
            "a_primary_dies_while_units_are_taken",
            "a_primary_that_was_replaced_and_lives_is_left",
            "a_primary_that_becomes_a_replica",
        ),
    ),
    Promise(
        "tail_of_the_log_cut_or_store_empty",
        "the append-only file ends in the middle, or there is none",
        "whole steps are missing and never half of one; nothing is sold until it is rebuilt",
        of(TORN, "a_step_is_there_as_a_whole_or_not_at_all")
        + of(FROZEN, "a_log_that_ends_before_what_the_ledger_has_seen", "an_empty_store")
        + of("faults/test_rebuild_viewers.py", "viewers_are_led_over"),
        of(TORN, "a_step_in_two_commands_would_be_torn"),
    ),
    Promise(
        "memory_full",
        "maxmemory is reached",
        "nothing new is taken; releases, lapses and closes go on; a store that may evict is refused",
        of(OOM, "what_gives_back_goes_on_where_the_memory_is_full", "a_policy_that_is_changed_stops_the_sale")
        + of("store/test_redis.py", "a_server_that_evicts_is_refused"),
        of(
            OOM,
            "a_sweep_without_its_flag_gives_nothing_back",
            "a_step_that_is_not_told_apart_gives_nothing_back",
        ),
    ),
    Promise(
        "disk_full",
        "the store cannot write (MISCONF)",
        "the sale stops and an alarm is up, until there is room",
        of(MISCONF, "a_full_disk_stops_the_sale", "a_store_that_always_flushes_ends_instead"),
    ),
    Promise(
        "disk_that_cannot_flush",
        "the store's disk takes what is written, and flushing it fails (EIO), once a second or always",
        "the sale stops, an alarm is up; with the end of the log no paid order is lost; mended it sells",
        of(
            "faults/test_fsync.py",
            "a_flush_that_fails_stops_the_sale",
            "what_was_never_flushed_is_lost_and_no_order_is",
            "a_store_that_always_flushes_acknowledges_nothing",
        ),
    ),
    Promise(
        "store_answers_that_it_cannot",
        "NOSCRIPT, BUSY, LOADING, READONLY, MOVED, ASK, TRYAGAIN, CROSSSLOT and their like",
        "one effect or `unavailable`; a step is never split",
        of(ANSWERS, "a_store_that_cannot_is_unavailable", "a_bug_of_ours_stays_visible")
        + of("store/test_scripts.py", "a_forgotten_script_is_sent_again", "a_cut_answer_is_applied_once")
        + of(
            CLUSTER,
            "a_slot_that_has_moved_is_followed",
            "keys_apart_are_unavailable_until_they_are_together",
            "a_transaction_is_one_slots",
        ),
        of(ANSWERS, "a_client_that_repeats_is_found") + of(CLUSTER, "the_library_would_apply_it_twice"),
    ),
    Promise(
        "subscription_cut_or_deaf",
        "the subscription is cut, killed for its backlog, or hears nothing though nobody says so",
        "found by its own echo, not ready meanwhile, the hole filled from the log",
        of(
            SUBSCRIPTION,
            "a_cut_connection_costs_no_event",
            "killed_over_and_over_it_costs_no_event",
            "a_listener_that_the_store_cuts_off_costs_no_event",
            "a_deaf_subscription_is_found_and_made_anew",
        ),
        of("faults/test_witness.py", "a_faithless_story_is_found_out"),
    ),
    Promise(
        "network_cut_in_silence",
        "every packet between a server and its store vanishes, and neither is told",
        "found by its own echo, not ready meanwhile, viewers stay, others sell; then all goes on by itself",
        of("faults/test_parted.py", "a_silent_cut_is_found_by_the_echo"),
    ),
    Promise(
        "place_lost",
        "a viewer's place was trimmed away, the log began anew, two recoveries follow each other",
        "an explicit start over with a snapshot; no repeats",
        of(
            RECOVERY,
            "who_returns_behind_a_trimmed_log_starts_over",
            "a_new_epoch_sends_everybody_to_start_over",
            "two_recoveries_in_a_row_over_a_cut",
        ),
    ),
    Promise(
        "slow_or_vanished_viewer",
        "a viewer reads slowly, not at all, or is half gone",
        "bounded bytes, newest numbers only, then 3008; the dead are found in 40 s; holds stay",
        of("gateway/test_slow.py", "who_is_behind_is_owed_only_the_newest_numbers")
        + of("gateway/test_slow.py", "who_is_too_far_behind_is_let_go_and_keeps_what_they_hold")
        + of("gateway/test_timers.py", "a_dead_peer_is_gone_within_forty_seconds")
        + of("gateway/test_liveness.py", "who_vanishes_is_let_go_and_told_why"),
    ),
    Promise(
        "everybody_returns_at_once",
        "10,000 viewers come back in the same moment",
        "each is told a moment of their own; hundreds play it here, 10,000 in `make multitude`",
        of("gateway/test_admission.py", "a_storm_comes_back_spread_out")
        + of("gateway/test_admission.py", "a_storm_that_comes_back_as_told_is_let_in")
        + of("flows/test_multitude.py", "a_multitude_misses_nothing"),
        of("flows/test_multitude.py", "a_gap_and_a_duplicate_would_be_found"),
    ),
    Promise(
        "provider_misbehaves",
        "time-outs, errors, declines; answers late, twice, in another order; forged webhooks",
        "unknown is asked again under the same key; a decline gives back; each counts once; forged is 401",
        of(SAGA, "an_unknown_outcome_is_pending_and_ends_paid")
        + of(SAGA, "a_decline_gives_the_reservation_back_with_its_old_deadline")
        + of(SANDBOX, "late", "twice", "never")
        + of("payments/test_sandbox_webhooks.py", "a_forged_webhook_is_none", "the_door_for_providers")
        + of("payments/test_sandbox_webhooks.py", "duplicates_and_reordering_change_nothing"),
    ),
    Promise(
        "receiver_of_webhooks_misbehaves",
        "down for an hour, hanging, redirecting, or inside of the network",
        "all is kept, in order per order; others are served; 3xx fails; inner addresses are refused",
        of(HOOKS, "a_receiver_that_is_down_for_an_hour_misses_nothing", "who_hangs_costs_the_others_nothing")
        + of(HOOKS, "a_redirect_is_a_failure_and_is_not_followed")
        + of(SENDING, "nothing_is_sent_inside", "a_name_that_leads_elsewhere_a_moment_later_cannot_switch")
        + of(TARGET, "what_is_inside_is_refused"),
    ),
    Promise(
        "two_at_the_same_work",
        "two sweepers; a sweeper against a checkout in one millisecond; two recorders",
        "one wins",
        of(
            RACES,
            "two_sweepers_let_each_unit_go_once",
            "sweeper_against_checkout_in_the_same_millisecond",
            "sweeper_against_a_payment_that_was_just_authorized",
        )
        + of("webhooks/test_outbox.py", "two_recorders_write_each_message_once"),
        of(RACES, "torn_sweepers_give_units_back_twice", "a_torn_sale_sells_what_has_lapsed"),
    ),
    Promise(
        "wrong_clocks",
        "hosts' clocks are twenty minutes apart",
        "every deadline is the store's",
        of(CLOCKS, "a_hold_ends_by_the_clock_of_the_store", "nothing_lapses_early_or_late")
        + of(CLOCKS, "a_drop_opens_when_the_store_says")
        + of("workers/test_due.py", "a_wave_that_is_not_due_yet_waits"),
        of(CLOCKS, "a_hold_by_a_hosts_clock_is_found"),
    ),
    Promise(
        "ledger_away_or_commit_unknown",
        "the ledger is down, or its answer to a commit is lost",
        "202 and never 201; the same is written again and is there once",
        of(LATE, "a_ledger_that_is_away_is_caught_up_with", "a_commit_whose_answer_is_lost")
        + of(SAGA, "a_ledger_that_is_down_makes_the_order_wait")
        + of("ledger/test_writer.py", "a_failed_commit_is_unknown_to_all_of_its_batch"),
    ),
    Promise(
        "told_to_leave_under_load",
        "SIGTERM in the middle of it",
        "not ready, nobody new, what is under way is answered, 3001 with moments apart, exit 0 in time",
        of(
            DRAIN,
            "everybody_comes_back_at_their_own_moment",
            "what_is_under_way_is_answered_before_the_close",
        )
        + of(DRAIN, "nobody_who_is_stuck_keeps_the_server")
        + of("gateway/test_leaving.py", "a_server_that_leaves_says_so"),
    ),
    Promise(
        "message_that_nobody_takes",
        "a message of the outbox fails again and again",
        "parked after ten tries, the others flow; figures, `livedrop doctor` and `livedrop audit` show it",
        of(HOOKS, "a_parked_message_lets_the_next_one_through")
        + of("cli/test_doctor.py", "messages_are_judged_by_who_waits")
        + of(
            "cli/test_audit_parked.py",
            "who_did_not_take_what",
            "who_wants_no_more_is_enabled_first",
            "the_audit_shows_them_and_ends_with_0",
        ),
    ),
)
