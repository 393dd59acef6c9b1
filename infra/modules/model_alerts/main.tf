# The alert policies of one served model, from the limits that its policy gives its checks.
#
# They are a second look beside the analysis, with Monitoring's own means, and hold also when no tick runs. So a limit that Monitoring
# cannot judge exactly is judged later, never earlier. Vertex AI's metrics exist before anything was served; a metric of the user's own
# does not, so its descriptor is made here and the alert policies wait for it.

locals {
  online = "aiplatform.googleapis.com/prediction/online"
  # Which of several endpoints are asked changes.
  is_group = var.target.green != "" || var.target.arms != ""
  several  = var.target.green != "" ? "one_of(\"${var.target.endpoint}\", \"${var.target.green}\")" : "monitoring.regex.full_match(\"${var.target.endpoint}|${var.target.arms}\")"
  named    = local.is_group ? local.several : "\"${var.target.endpoint}\""
  resource = "resource.type = \"aiplatform.googleapis.com/Endpoint\" AND resource.labels.endpoint_id = ${local.named} AND resource.labels.location = \"${var.target.region}\""
  # An incident keeps these labels, and so says which deployed model it is about.
  by_model      = ["resource.labels.endpoint_id", "resource.labels.location", "metric.labels.deployed_model_id"]
  by_user_model = ["metric.labels.endpoint_id", "metric.labels.deployed_model_id"]
  title         = "${var.target.model} on ${var.target.endpoint}"
  period        = "${var.window}s"

  # "1%" or 0.01; Terraform divides with so many digits that 1 / 100 * 100 is not 1.
  checks = [for check in var.target.checks : merge(check, {
    at_most = try(check.at_most, null) == null ? null : (
      endswith(tostring(check.at_most), "%") ? tonumber(format("%.10g", tonumber(trimsuffix(tostring(check.at_most), "%")) / 100)) : tonumber(check.at_most)
    )
    gating = try(check.gating, true)
  })]
  gating = [for check in local.checks : check if check.gating]
  errors = [for check in local.gating : check.at_most if check.metric == "error_rate" && check.at_most != null]

  # What a limit of values is to Monitoring: a reducer over all values of a deployed model, a comparison and a number.
  reducers = {
    p50_at_most   = { reducer = "REDUCE_PERCENTILE_50", comparison = "COMPARISON_GT", words = "P50 above" }
    p95_at_most   = { reducer = "REDUCE_PERCENTILE_95", comparison = "COMPARISON_GT", words = "P95 above" }
    p99_at_most   = { reducer = "REDUCE_PERCENTILE_99", comparison = "COMPARISON_GT", words = "P99 above" }
    mean_at_most  = { reducer = "REDUCE_MEAN", comparison = "COMPARISON_GT", words = "mean above" }
    mean_at_least = { reducer = "REDUCE_MEAN", comparison = "COMPARISON_LT", words = "mean below" }
  }
  plain = flatten([for check in local.gating : [
    for key, how in local.reducers : merge(how, { metric = check.metric, limit = tonumber(check[key]) }) if try(check[key], null) != null
  ] if check.metric != "error_rate"])

  # "At most 5 % above 350" is "P95 at most 350". Monitoring has P99, P95, P50 and P05: the next larger share is taken.
  shares = flatten([for check in local.gating : concat(
    [for limit, share in try(check.share_above, {}) : { metric = check.metric, limit = tonumber(limit), share = share, above = true }],
    [for limit, share in try(check.share_below, {}) : { metric = check.metric, limit = tonumber(limit), share = share, above = false }],
    try(check.range, null) == null ? [] : [
      { metric = check.metric, limit = tonumber(check.range[0]), share = try(check.outside, "1%"), above = false },
      { metric = check.metric, limit = tonumber(check.range[1]), share = try(check.outside, "1%"), above = true },
    ],
  ) if check.metric != "error_rate"])
  shares_as_numbers = [for one in local.shares : merge(one, {
    share = endswith(tostring(one.share), "%") ? tonumber(format("%.10g", tonumber(trimsuffix(tostring(one.share), "%")) / 100)) : tonumber(one.share)
  })]
  quantiles = [for one in local.shares_as_numbers : {
    metric     = one.metric
    limit      = one.limit
    reducer    = one.above ? (one.share <= 0.01 ? "REDUCE_PERCENTILE_99" : one.share <= 0.05 ? "REDUCE_PERCENTILE_95" : "REDUCE_PERCENTILE_50") : (one.share <= 0.05 ? "REDUCE_PERCENTILE_05" : "REDUCE_PERCENTILE_50")
    comparison = one.above ? "COMPARISON_GT" : "COMPARISON_LT"
    words      = one.above ? (one.share <= 0.01 ? "P99 above" : one.share <= 0.05 ? "P95 above" : "P50 above") : (one.share <= 0.05 ? "P5 below" : "P50 below")
  } if one.share <= 0.5]

  values  = concat(local.plain, local.quantiles)
  latency = [for one in local.values : one if one.metric == "latency_ms"]
  quality = {
    for metric in toset([for one in local.values : one.metric if one.metric != "latency_ms"]) :
    metric => [for one in local.values : one if one.metric == metric]
  }

  labels = {
    vr_project  = var.target.project
    vr_region   = var.target.region
    vr_endpoint = var.target.endpoint
  }
  most_replicas = try(var.target.machine.replicas.max, 1)
}

resource "google_monitoring_alert_policy" "errors" {
  count                 = length(local.errors) > 0 ? 1 : 0
  project               = var.target.project
  display_name          = "${local.title}: errors"
  combiner              = "OR"
  severity              = "ERROR"
  user_labels           = local.labels
  notification_channels = concat(var.channels.roll_back, var.channels.people)

  conditions {
    display_name = "more than ${format("%.4g", local.errors[0] * 100)} % of the answers of a deployed model are 5xx"
    condition_threshold {
      filter                  = "metric.type = \"${local.online}/response_count\" AND ${local.resource} AND metric.labels.response_code = \"5xx\""
      denominator_filter      = "metric.type = \"${local.online}/response_count\" AND ${local.resource}"
      comparison              = "COMPARISON_GT"
      threshold_value         = local.errors[0]
      duration                = local.period
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = local.period
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = local.by_model
      }
      denominator_aggregations {
        alignment_period     = local.period
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = local.by_model
      }
      trigger {
        count = 1
      }
    }
  }
  alert_strategy {
    auto_close = "3600s"
  }
  documentation {
    subject = "${local.title}: errors"
    content = "A deployed model answers with 5xx more often than its policy allows. roll_back gives its traffic back. See model-errors in docs/runbook.md."
  }
}

resource "google_monitoring_alert_policy" "latency" {
  count                 = length(local.latency) > 0 ? 1 : 0
  project               = var.target.project
  display_name          = "${local.title}: latency"
  combiner              = "OR"
  severity              = "ERROR"
  user_labels           = local.labels
  notification_channels = concat(var.channels.roll_back, var.channels.people)

  dynamic "conditions" {
    for_each = local.latency
    content {
      display_name = "latency: ${conditions.value.words} ${conditions.value.limit} ms"
      condition_threshold {
        filter                  = "metric.type = \"${local.online}/prediction_latencies\" AND ${local.resource} AND metric.labels.latency_type = \"total\""
        comparison              = conditions.value.comparison
        threshold_value         = conditions.value.limit
        duration                = local.period
        evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
        aggregations {
          alignment_period     = local.period
          per_series_aligner   = "ALIGN_DELTA"
          cross_series_reducer = conditions.value.reducer
          group_by_fields      = local.by_model
        }
        trigger {
          count = 1
        }
      }
    }
  }
  alert_strategy {
    auto_close = "3600s"
  }
  documentation {
    subject = "${local.title}: latency"
    content = "A deployed model is slower than its policy allows. roll_back gives its traffic back. See model-latency in docs/runbook.md."
  }
}

resource "google_monitoring_metric_descriptor" "quality" {
  for_each     = local.quality
  project      = var.target.project
  type         = "custom.googleapis.com/vertex_rollouts/${each.key}"
  display_name = each.key
  description  = "Reported by the serving container of ${var.target.model}, or by quality-reported"
  metric_kind  = "GAUGE"
  value_type   = "DISTRIBUTION"

  labels {
    key        = "endpoint_id"
    value_type = "STRING"
  }
  labels {
    key        = "deployed_model_id"
    value_type = "STRING"
  }
}

resource "google_monitoring_alert_policy" "quality" {
  for_each              = local.quality
  project               = var.target.project
  display_name          = "${local.title}: ${each.key}"
  combiner              = "OR"
  severity              = "ERROR"
  user_labels           = local.labels
  notification_channels = concat(var.channels.roll_back, var.channels.people)

  dynamic "conditions" {
    for_each = each.value
    content {
      display_name = "${each.key}: ${conditions.value.words} ${conditions.value.limit}"
      condition_threshold {
        filter                  = "metric.type = \"${google_monitoring_metric_descriptor.quality[each.key].type}\" AND metric.labels.endpoint_id = ${local.named} AND resource.type = \"generic_task\""
        comparison              = conditions.value.comparison
        threshold_value         = conditions.value.limit
        duration                = local.period
        evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
        aggregations {
          alignment_period     = "${5 * var.window}s" # quality is reported once a minute at most
          per_series_aligner   = "ALIGN_SUM"
          cross_series_reducer = conditions.value.reducer
          group_by_fields      = local.by_user_model
        }
        trigger {
          count = 1
        }
      }
    }
  }
  alert_strategy {
    auto_close = "3600s"
  }
  documentation {
    subject = "${local.title}: ${each.key}"
    content = "A deployed model answers otherwise than its policy allows. roll_back gives its traffic back. See model-quality in docs/runbook.md."
  }
}

# The next two are for people: neither is a reason to take a version back.

resource "google_monitoring_alert_policy" "no_traffic" {
  project               = var.target.project
  display_name          = "${local.title}: no traffic"
  combiner              = "OR"
  severity              = "WARNING"
  user_labels           = local.labels
  notification_channels = var.channels.people

  conditions {
    display_name = "no answer for 30 minutes"
    condition_absent {
      filter   = "metric.type = \"${local.online}/response_count\" AND ${local.resource}"
      duration = "1800s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        # Of several endpoints those that nobody is sent to are silent, and that is as it should be.
        group_by_fields = local.is_group ? ["resource.labels.location"] : ["resource.labels.endpoint_id", "resource.labels.location"]
      }
      trigger {
        count = 1
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    subject = "${local.title}: no traffic"
    content = "Nobody asks the endpoint any more, or nothing is measured. A rollout there waits. See model-no-traffic in docs/runbook.md."
  }
}

resource "google_monitoring_alert_policy" "saturation" {
  project               = var.target.project
  display_name          = "${local.title}: saturation"
  combiner              = "OR"
  severity              = "WARNING"
  user_labels           = local.labels
  notification_channels = var.channels.people

  conditions {
    display_name = "the replicas of a deployed model use more than 90 % of their CPU"
    condition_threshold {
      filter                  = "metric.type = \"${local.online}/cpu/utilization\" AND ${local.resource}"
      comparison              = "COMPARISON_GT"
      threshold_value         = 0.9
      duration                = "600s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_MEAN"
        cross_series_reducer = "REDUCE_MEAN"
        group_by_fields      = local.by_model
      }
      trigger {
        count = 1
      }
    }
  }
  conditions {
    display_name = "a deployed model has wanted more than ${local.most_replicas} replicas"
    condition_threshold {
      filter                  = "metric.type = \"${local.online}/target_replicas\" AND ${local.resource}"
      comparison              = "COMPARISON_GT"
      threshold_value         = local.most_replicas
      duration                = "600s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
        group_by_fields      = local.by_model
      }
      trigger {
        count = 1
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    subject = "${local.title}: saturation"
    content = "The model has as many replicas as its policy allows and needs more. See model-saturation in docs/runbook.md."
  }
}
