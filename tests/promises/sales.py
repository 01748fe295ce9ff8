"""Ways in which shops have sold too much, too little or twice."""

from __future__ import annotations

from tests.promises import Promise, of

NAMED = "flows/named"
RACES, LAPSED, LIMITS = "flows/test_races.py", f"{NAMED}/test_lapsed.py", f"{NAMED}/test_limits.py"
PAYMENTS, STOCK, WAITLIST = f"{NAMED}/test_payments.py", f"{NAMED}/test_stock.py", f"{NAMED}/test_waitlist.py"
KEYS, GATE, SHORT = f"{NAMED}/test_keys.py", f"{NAMED}/test_gate.py", "lua/test_hold_batch_short.py"

SALES = (
    Promise(
        "last_unit_two_buyers_one_wins",
        "two buyers reach for the last unit in the same moment",
        "one has it, the other hears that 0 are available",
        of(RACES, "last_unit_two_buyers_one_wins"),
        of(RACES, "a_torn_reserve_oversells"),
    ),
    Promise(
        "hold_lapses_between_check_and_claim",
        "a reservation is good when it is looked at, and over when it is claimed",
        "410, nothing sold; the next one gets the unit",
        of(LAPSED, "hold_lapses_between_check_and_claim"),
        of(LAPSED, "a_claim_that_trusts_the_look_is_found"),
    ),
    Promise(
        "paid_shortfall_emits_and_voids",
        "the provider says yes to units that others have by now",
        "the payment is let go, and the shop is told of the shortfall once",
        of(PAYMENTS, "paid_shortfall_emits_and_voids"),
    ),
    Promise(
        "duplicate_sku_lines_are_summed",
        "a limit is held against each line by itself",
        "all of a viewer's units of a drop count together, in an order and in a bundle too",
        of(
            LIMITS,
            "duplicate_sku_lines_are_summed",
            "duplicate_lines_of_one_order_are_summed",
            "duplicate_drops_of_one_bundle_are_refused",
        ),
        of(LIMITS, "counting_only_the_last_line_breaks_the_limit"),
    ),
    Promise(
        "counter_equals_sum_of_holds",
        "the counters of a drop drift away from its reservations",
        "after any traffic `held` and `sold` are the sums of what viewers have",
        of(LIMITS, "counter_equals_sum_of_holds"),
        of(LIMITS, "a_counter_that_is_not_counted_down_is_found"),
    ),
    Promise(
        "no_lock_held_over_provider_call",
        "a provider takes its time for one buyer",
        "others reserve of the same drop as fast as ever",
        of(PAYMENTS, "no_lock_held_over_provider_call"),
    ),
    Promise(
        "own_stale_hold_not_counted",
        "a viewer's own reservation, over by now, keeps them from another",
        "what lapsed or was given back stands in nobody's way",
        of(LIMITS, "own_stale_hold_not_counted"),
    ),
    Promise(
        "superseding_cancels_the_old_intent_first",
        "a buyer leaves one payment in the middle and pays in another way",
        "the first one is let go before the second begins",
        of(PAYMENTS, "superseding_cancels_the_old_intent_first"),
    ),
    Promise(
        "touching_a_lapsed_hold_never_revives_it",
        "a reservation whose time is over is repeated, looked at or paid",
        "it gets no new time, and its units go back",
        of(LAPSED, "touching_a_lapsed_hold_never_revives_it"),
        of(LAPSED, "a_touch_that_extends_is_found"),
    ),
    Promise(
        "same_validation_in_add_extend_finalize",
        "a rule that holds when something is asked for is forgotten when it is sold",
        "a late yes above the limit is let go as an ask is refused",
        of(f"{NAMED}/test_validation.py", "same_validation_in_add_extend_finalize"),
        of(f"{NAMED}/test_validation.py", "a_sale_above_the_limit_is_found"),
    ),
    Promise(
        "no_fast_path_skips_the_atomic_check",
        "a shortcut decides by what was true a moment ago",
        "shortcuts only refuse; what is awarded was decided in the store's own step",
        of(GATE, "an_open_gate_awards_nothing")
        + of("inventory/test_gate.py", "it_never_awards")
        + of(SHORT, "the_short_way_ends_where_the_long_one_does"),
        of(GATE, "a_stuck_gate_is_found") + of(SHORT, "a_broken_short_way_is_caught"),
    ),
    Promise(
        "cancel_returns_the_unit",
        "a unit that is given up gets lost on its way to the queue",
        "it goes to the next who waits, or back into stock",
        of(WAITLIST, "cancel_returns_the_unit"),
    ),
    Promise(
        "deleted_offer_makes_no_phantoms",
        "places in the queue of a drop that is gone still count",
        "a closed drop has no queue, no places and no limit that they fill",
        of(WAITLIST, "deleted_offer_makes_no_phantoms"),
    ),
    Promise(
        "no_starvation",
        "newcomers catch what comes back before those who wait",
        "it goes to who has waited longest, however many press",
        of(WAITLIST, "no_starvation"),
        of(WAITLIST, "units_that_newcomers_catch_are_found", "a_queue_that_is_served_from_its_end_is_found"),
    ),
    Promise(
        "closed_drop_is_not_served",
        "units that come back after the close are given out",
        "nobody gets them, however long they have waited",
        of(WAITLIST, "closed_drop_is_not_served"),
        of(WAITLIST, "a_closed_drop_that_is_served_is_found"),
    ),
    Promise(
        "provider_webhook_and_return_make_one_order",
        "the webhook, the returning buyer and a worker finish the same payment",
        "one order, one charge",
        of(PAYMENTS, "provider_webhook_and_return_make_one_order"),
        of(PAYMENTS, "a_webhook_that_sells_by_itself_is_found"),
    ),
    Promise(
        "state_is_read_inside_the_atomic_step",
        "a sale goes by a state that was read before it",
        "the step that sells reads it itself",
        of(PAYMENTS, "state_is_read_inside_the_atomic_step"),
        of(PAYMENTS, "a_sale_that_trusts_the_claim_is_found"),
    ),
    Promise(
        "state_rechecked_after_provider_call",
        "an order is undone while the provider thinks",
        "after the call the recorded step counts, and it is not gone on with",
        of(PAYMENTS, "state_rechecked_after_provider_call"),
        of(PAYMENTS, "a_sale_by_what_was_seen_before_is_found"),
    ),
    Promise(
        "timeout_retry_reuses_the_intent",
        "after a time-out the payment is asked for again",
        "it is the same one at the provider, whoever asks",
        of(PAYMENTS, "timeout_retry_reuses_the_intent"),
    ),
    Promise(
        "double_submit_one_charge",
        "the same reservations are paid by many clients at once",
        "one charge, with one key or with many",
        of(PAYMENTS, "double_submit_one_charge")
        + of("checkout/test_double_submit.py", "one_key", "a_key_each"),
        of(PAYMENTS, "a_double_submit_without_a_claim_is_found"),
    ),
    Promise(
        "capture_replayed_once",
        "the answer of a capture is lost",
        "asked again it moves nothing more",
        of(PAYMENTS, "capture_replayed_once"),
        of(PAYMENTS, "a_capture_without_a_key_is_found"),
    ),
    Promise(
        "crashed_claim_expires",
        "a process dies while it has claimed units for a payment",
        "they are not kept for ever",
        of(PAYMENTS, "crashed_claim_expires"),
        of(PAYMENTS, "a_claim_for_ever_is_found"),
    ),
    Promise(
        "sold_out_is_409_not_500",
        "a burst on few units",
        "who is too late gets a problem with its numbers, nobody a 5xx",
        of(STOCK, "sold_out_is_409_not_500"),
    ),
    Promise(
        "consumes_units_not_rows",
        "a reservation of several units counts as one",
        "it takes, gives back, lapses and sells as many units as it names",
        of(LIMITS, "consumes_units_not_rows"),
        of(LIMITS, "a_row_that_is_taken_for_a_unit_is_found"),
    ),
    Promise(
        "same_key_twice_at_once_runs_once",
        "two requests with one key reach two processes",
        "one runs, the other gets its answer or is told to wait",
        of(RACES, "same_key_twice_at_once_runs_once", "one_key_runs_once"),
        of(RACES, "a_torn_key_runs_twice"),
    ),
    Promise(
        "in_flight_key_is_reclaimed_after_a_crash",
        "a process dies while it runs a request with a key",
        "the key is free again once a run cannot take longer",
        of(KEYS, "in_flight_key_is_reclaimed_after_a_crash"),
        of(KEYS, "a_key_that_a_crash_left_for_ever_is_found"),
    ),
    Promise(
        "error_reports_the_true_available",
        "a refusal names a number that is no longer, or not yet, true",
        "it names the numbers of its own moment",
        of(STOCK, "error_reports_the_true_available"),
        of(STOCK, "an_error_that_reports_an_older_number_is_found"),
    ),
    Promise(
        "undersell",
        "units are declined, forgotten or lapsed, and nobody gets them",
        "all that was offered is sold where enough people want it",
        of(STOCK, "undersell", "undersell_where_the_first_who_pays_gets_it"),
        of(STOCK, "a_sale_that_strands_units_is_found"),
    ),
)
