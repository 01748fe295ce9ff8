"""What strangers send on purpose."""

from __future__ import annotations

from tests.promises import Promise, of

ATTACKS = of("attacks/test_attacks.py", "an_attack_is_refused")
FOUND = of("attacks/test_attacks.py", "another_answer_is_found")
BOUNDS, AUTH, THEIRS = "attacks/test_bounds.py", "test_auth.py", "test_foreign_tokens.py"
CALLERS, INPUT, CODEC = "flows/bad/test_callers.py", "flows/bad/test_input.py", "protocol/test_codec.py"
PARSER, FRONT, ROLES = "gateway/test_parser.py", "gateway/test_front.py", "api/test_roles.py"
DOORS, LIMITS, SENDING = "limits/test_doors.py", "limits/test_limits.py", "webhooks/test_sending.py"
ROOM = "waiting_room/test_doors.py"
SUPPLY, HARD = "house/test_supply.py", "test_hardening.py"

STRANGERS = (
    Promise(
        "foreign_origins",
        "a page of another site, or of one that looks like ours",
        "403; an Origin counts to the letter",
        ATTACKS
        + of(CALLERS, "a_foreign_origin_is_refused")
        + of("gateway/test_limits.py", "a_named_origin_may_connect"),
        FOUND,
    ),
    Promise(
        "tokens_in_addresses",
        "a token in a query or a cookie",
        "it counts for nothing, and stands in no log",
        ATTACKS
        + of(CALLERS, "a_token_counts_nowhere_but_in_its_header")
        + of("api/test_ops.py", "logs_are_lines_of_json_without_secrets"),
    ),
    Promise(
        "forged_tokens",
        "no algorithm, another one, a public key as a secret, unknown critical headers, missing claims",
        "401 and 3500; one family of algorithms, and exp, aud and iss are asked for",
        ATTACKS
        + of(
            AUTH,
            "a_token_without_a_signature_is_none",
            "only_one_algorithm_is_believed",
            "every_claim_is_checked",
        )
        + of(THEIRS, "a_public_key_is_no_secret", "what_is_critical_and_unknown_is_refused"),
        of(THEIRS, "the_forgery_would_be_believed_by_a_careless_server"),
    ),
    Promise(
        "expired_tokens",
        "a viewer stays after their token has ended",
        "the server closes with 3005",
        ATTACKS + of("gateway/test_privacy.py", "an_expired_token_closes_with_3005"),
    ),
    Promise(
        "ids_of_others",
        "somebody who knows the id of what is another's",
        "403 or 404 for every role, operation, command and kind of stranger",
        ATTACKS
        + of(
            ROLES,
            "every_role_on_every_operation",
            "every_role_on_every_command",
            "the_table_names_every_operation",
        )
        + of(CALLERS, "nobody_touches_somebody_elses_reservation"),
    ),
    Promise(
        "floods",
        "too many messages, pings, requests, joins or bad tokens",
        "limited per viewer, address and show, in all processes together; 429, and 3013 for who goes on",
        ATTACKS
        + of(CALLERS, "a_flood_is_limited_and_then_closed_with_3013")
        + of("gateway/test_stuck.py", "a_peer_who_sends_nothing_but_signs_of_life_is_let_go")
        + of(LIMITS, "a_caller_has_a_rate_and_a_burst", "after_too_many_bad_tokens_none_is_looked_at")
        + of(LIMITS, "a_show_takes_so_many_a_second")
        + of("limits/test_telling.py", "processes_share_a_limit")
        + of(DOORS, "after_a_bad_token_the_address_waits_at_both_doors"),
        of("limits/test_telling.py", "processes_that_tell_nothing_share_nothing"),
    ),
    Promise(
        "messages_that_are_too_much",
        "more than 64 KiB, nested deeper than 16, wide, extended, no text, and 60 KB that open lists only",
        "1009 and 413; refused before it is built, in little memory",
        ATTACKS
        + of(BOUNDS, "opened_lists_cost_little_memory")
        + of(CODEC, "msgpack_that_is_no_message", "what_hides_in_unknown_fields_is_looked_at")
        + of(INPUT, "a_message_of_70_kib_closes_with_1009", "a_body_of_70_kib_is_413")
        + of("fuzz/test_fuzz.py", "no_input_is_a_finding"),
        of(BOUNDS, "a_careless_decoder_is_found") + of("fuzz/test_fuzz.py", "what_is_broken_is_found"),
    ),
    Promise(
        "numbers_that_are_none",
        "NaN, infinity, fractions, negative and huge numbers of units",
        "refused with the number on both doors; nothing is taken",
        ATTACKS
        + of(CODEC, "a_quantity_is_a_whole_number_in_its_bounds")
        + of(INPUT, "a_number_that_is_none_is_refused_on_both_doors"),
    ),
    Promise(
        "decoder_after_an_error",
        "a good message behind a broken one",
        "it is read as if there had been none; the fifth broken one ends it with 3501",
        ATTACKS
        + of(
            INPUT,
            "garbage_is_refused_and_the_connection_goes_on",
            "the_fifth_invalid_message_closes_with_3501",
        ),
    ),
    Promise(
        "deflate_bombs",
        "few compressed bytes that would be many",
        "1009 at the first byte too many",
        ATTACKS
        + of(
            PARSER,
            "a_broken_stream_ends_with_its_close_code",
            "no_message_exceeds_the_limit_by_what_zlib_keeps_back",
        ),
    ),
    Promise(
        "slow_strangers",
        "half a handshake, no hello, a head in drops",
        "cut after 5 s by default (408, 3500)",
        ATTACKS
        + of(FRONT, "a_head_that_stops_is_cut", "a_head_in_drops_is_cut")
        + of("gateway/test_limits.py", "no_hello_in_time_closes_with_3500"),
    ),
    Promise(
        "heads_of_two_meanings",
        "no Host or two, two lengths, a length and chunks, a head without end",
        "400 and 431, and the connection ends",
        ATTACKS
        + of(FRONT, "one_host_is_expected", "a_large_head_is_refused", "a_head_of_two_meanings_is_refused"),
    ),
    Promise(
        "addresses_made_up",
        "X-Forwarded-For and its like from anybody",
        "they count from the configured networks alone",
        ATTACKS + of("cli/test_running.py", "only_trusted_proxies_speak_for_others"),
    ),
    Promise(
        "webhooks_that_lead_inside",
        "private, loopback, link-local, metadata, mapped addresses; names that change their mind",
        "refused, and what was checked is what is connected to",
        ATTACKS
        + of("webhooks/test_target.py", "what_is_inside_is_refused", "a_url_is_checked_before_its_name_is")
        + of(SENDING, "nothing_is_sent_inside", "the_name_is_not_resolved_a_second_time"),
    ),
    Promise(
        "lines_in_the_log",
        "CR, LF, control characters, made-up lines and tokens wherever something could be written down",
        "every line is one JSON object without any of them",
        ATTACKS + of("api/test_ops.py", "logs_are_lines_of_json_without_secrets"),
        of("attacks/test_attacks.py", "an_unclean_log_is_found"),
    ),
    Promise(
        "formulas_in_spreadsheets",
        "a cell that begins with = + - @ runs where it is opened",
        "nothing is exported as CSV; who adds an export meets this test first",
        of(BOUNDS, "nothing_is_exported_as_csv"),
    ),
    Promise(
        "browsers_that_guess",
        "pages that are framed, types that are guessed, scripts of others, plain http",
        "a policy that forbids it on every answer, https for a year, and no word on the software",
        ATTACKS
        + of("api/test_headers.py", "who_came_by_https_is_told_to_stay", "no_answer_names_its_server")
        + of("api/test_pages.py", "a_page_needs_nothing_that_the_policy_forbids"),
    ),
    Promise(
        "more_people_than_seats",
        "more viewers come to a show than it has room for, or bots keep its places",
        "they wait in a line that nobody gets round, by lot if they came before the show; who is away loses the place",
        of(
            ROOM,
            "one_seat",
            "http_is_no_way_round",
            "before_the_show_begins",
            "the_place_is_kept",
            "who_waits_can_wait_and_nothing_else",
        )
        + of("client/test_room.py", "a_full_show")
        + of(
            "lua/test_room_enter.py",
            "any_crowd",
            "a_turn_that_is_not_used_goes_to_the_next",
            "who_is_not_heard_of_loses_the_place",
        ),
    ),
    Promise(
        "made_up_viewers",
        "a program joins under a thousand names",
        "each anonymous one has to do work first, where the operator asks for it; nobody can use another's",
        of(ROOM, "the_unknown_do_work_first", "work_of_others_counts_for_nothing")
        + of("test_challenge.py", "work_counts_for_one_viewer_in_one_show", "a_changed_nonce_is_none"),
    ),
    Promise(
        "careless_production",
        "default or short secrets, plain origins, the sandbox, a store without a password or with eviction",
        "the server does not start, and says all of it at once",
        of(HARD, "each_alone_is_refused", "weak_secrets", "all_refusals_come_at_once")
        + of("payments/test_sandbox_process.py", "production_takes_no_sandbox")
        + of("store/test_redis.py", "a_server_that_evicts_is_refused"),
        of(HARD, "development_starts_with_all_of_it"),
    ),
    Promise(
        "old_libraries",
        "a library with a known weakness",
        "floors that no lock and no declaration goes below",
        of(SUPPLY, "nothing_is_older_than_its_floor", "the_floors_are_declared"),
    ),
    Promise(
        "conformance",
        "peers that take the standards at their word",
        "the Autobahn cases pass, and made-up requests are answered as /openapi.json says",
        of("conformance/test_autobahn.py", "the_fast_cases_end_as_they_must")
        + of("api/test_schemathesis.py", "answers_to_made_up_requests_are_as_described"),
        of("conformance/test_autobahn.py", "a_case_that_fails_is_told_from_one_that_may")
        + of("api/test_schemathesis.py", "a_document_that_says_otherwise_is_found"),
    ),
)
