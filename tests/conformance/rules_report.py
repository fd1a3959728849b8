"""Rules 200 to 346: opts and reports."""

from tests.conformance.kinds import MET, met, na, rule

_NO_REQUEST = "this VEN asks the VTN for no reports"

OPT_AND_REPORT_RULES = (
    rule(
        200,
        "B",
        "Opt schedules carry no tolerance, ramp-up, recovery or notification.",
        met("a VTN answers 459, a VEN never writes them"),
    ),
    rule(
        201,
        "B",
        "The programme decides which schedules are allowed, the default state, precedence and overlaps.",
        met("settings of each market context; without them the standard alone binds"),
        na("the programme's terms bind its VTN; this VEN sends what its operator asks"),
    ),
    rule(202, "N", "An opt without target criteria is for all resources; criteria are alternatives."),
    rule(203, "T", "A new schedule takes the place of earlier ones of its type for its resources."),
    rule(
        204,
        "N",
        "optID is mandatory and may repeat; a cancel by optID ends every schedule with it.",
    ),
    rule(205, "T", "marketContext limits a schedule to that programme."),
    rule(206, "B", "Qualifying an event: precedence for each resource, resources of the event only, not for `never`."),
    rule(207, "B", "requestID may be empty; if given it is returned."),
    rule(208, "N", "venID and optID are filled in opts."),
    rule(
        209,
        "B",
        "oadrDeviceClass names listed device classes only, within the target.",
        met("of a resource whose classes are not known a schedule for some is taken as meant"),
        na("this VEN names resources, not device classes"),
    ),
    rule(210, "B", "Schedule duration 0 is open-ended."),
    rule(
        211,
        "B",
        "A qualification is not cancelled by oadrCancelOpt; cancelling a superseded schedule is no error.",
    ),
    rule(
        300,
        "B",
        "METADATA stays within the well-known reports, requests within METADATA; data is all that was asked.",
    ),
    rule(
        301, "B", "METADATA is sent after registration and on request, without oadrReport if there is nothing to offer."
    ),
    rule(
        302,
        "B",
        "A data point is the aggregate over reportDataSource, narrowed by marketContext.",
        met("a value over several resources is stored without one; the offer names them"),
        met("one point for each resource"),
    ),
    rule(303, "B", "requestID may be empty; if given it is returned."),
    rule(
        304,
        "B",
        "venID, vtnID, rID, reportRequestID and reportSpecifierID are checked: 452.",
    ),
    rule(305, "B", "METADATA has descriptions with units, no intervals and no dtstart."),
    rule(306, "B", "METADATA is complete, replaces the old one and voids all requests but periodic METADATA."),
    rule(
        307,
        "B",
        "reportSubject names device classes only, within the source.",
        met("kept with the offer; one that names more is taken with a remark"),
        na("no reportSubject is sent"),
    ),
    rule(308, "B", "reportSpecifierID is unique in METADATA, rID in its specifier; METADATA requests use rID 0."),
    rule(309, "B", "METADATA comes before other services, save registration and oadrRequestEvent."),
    rule(311, "B", "reportRequestID inside METADATA is 0; the outer one only answers a request."),
    rule(
        312,
        "B",
        "METADATA has a duration not shorter than oadrMaxPeriod.",
        met("an offer without, or with a longer oadrMaxPeriod, is taken with a remark"),
    ),
    rule(
        313,
        "B",
        "Data has dtstart, intervals and a name without prefix, and no descriptions.",
        met("as receiver: descriptions are refused"),
    ),
    rule(314, "B", "dtstart of the report is that of the first interval; in all intervals or none; oldest first."),
    rule(315, "B", "Interval duration in all intervals or none; absent means point data."),
    rule(316, "B", "uid from 0 where the interval has no dtstart.", met("every interval we send has its dtstart")),
    rule(317, "B", "Granularity within the sampling rate and reportBackDuration; 0 is on change."),
    rule(
        318, "B", "Without valid data: a placeholder with a bad quality mark.", met("the mark is kept with the value")
    ),
    rule(319, "B", "accuracy is in the value's unit.", met("kept with the value"), na("no accuracy is sent")),
    rule(321, "B", "Requests have no tolerance, notification, ramp-up, recovery or itemBase.", ven=na(_NO_REQUEST)),
    rule(322, "B", "reportRequestIDs are unique.", ven=na(_NO_REQUEST)),
    rule(
        324,
        "B",
        "reportBackDuration 0 is once, at once; periodic telemetry and history need a reportInterval.",
        ven=met("a request without reportInterval is taken as from now, for ever"),
    ),
    rule(325, "B", "Telemetry intervals may lie ahead, 0 is for ever; history intervals lie in the past."),
    rule(
        327,
        "B",
        "METADATA is asked for with the specifier METADATA.",
    ),
    rule(328, "B", "oadrUpdatedReport may cancel reports of the update it answers."),
    rule(
        329,
        "B",
        "oadrPendingReports lists everything still to be delivered.",
    ),
    rule(330, "B", "rID is a free string."),
    rule(331, "B", "Well-known reports as tabled, with the METADATA_ prefix when registering."),
    rule(333, "N", "Telemetry is offered with a sampling rate."),
    rule(334, "N", "TELEMETRY_STATUS has load control state where sensible, the same children in all intervals."),
    rule(
        335,
        "B",
        "If reports go on after a cancel in oadrUpdatedReport, oadrCancelReport is sent.",
        ven=na(_NO_REQUEST),
    ),
    rule(336, "B", "One unknown ID makes oadrCanceledReport a 4xx."),
    rule(337, "B", "Accumulated telemetry is sampled all the time, so that a one-shot is answered at once."),
    rule(338, "B", "readingType in requests is x-notApplicable.", ven=na(_NO_REQUEST)),
    rule(339, "B", "eiReportID is ignored."),
    rule(340, "B", "Not more is asked than offered; if it is, 454.", MET, MET),
    rule(341, "B", "The requested dtstart is the oldest data wanted; the last report may be a little late."),
    rule(
        342,
        "B",
        "Interval data has a duration, point data has none.",
        met("such data of others is read leniently"),
    ),
    rule(343, "B", "Without source, subject and context a point is for all resources.", ven=na("each point names one")),
    rule(344, "B", "Requests that come with oadrRegisteredReport are acted on; sending them is optional."),
    rule(345, "B", "reportToFollow true means one final report."),
    rule(346, "N", "Reports come in sequence; corrected or missing data may be sent again and replaces the old."),
)
