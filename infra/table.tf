# The table of functions, and what follows from it and from the policies.

locals {
  table = {
    for name, row in yamldecode(file("${path.module}/functions.yaml")) : name => {
      name        = name
      does        = row.does
      wakes_on    = row.wakes_on
      every       = try(row.every, "")
      callers     = try(row.callers, "nobody")
      attempts    = try(row.attempts, 5)
      backoff     = try(row.backoff, "600s")
      permissions = try(row.permissions, [])
      store       = try(row.store, true)
      reports     = try(row.reports, false)
      live        = try(row.live, "")
      exports     = try(row.exports, "")
      gates       = try(row.gates, "")
      publishes   = try(row.publishes, ["dead-letters"])
      secrets     = try(row.secrets, {})
      environment = try(row.environment, {})
      memory      = try(row.memory, "512Mi")
      timeout     = try(row.timeout, 540)
      instances   = try(row.instances, 10)
      warm        = try(row.warm, 0)
    }
  }

  topics = setunion(
    ["dead-letters"],
    [for row in local.table : row.wakes_on if row.wakes_on != "https"],
    flatten([for row in local.table : row.publishes]),
  )

  folder   = startswith(var.delivery.policies, "/") ? var.delivery.policies : "${path.module}/${var.delivery.policies}"
  zips     = startswith(var.delivery.zips, "/") ? var.delivery.zips : "${path.module}/${var.delivery.zips}"
  policies = { for file in fileset(local.folder, "*.yaml") : file => yamldecode(file("${local.folder}/${file}")) }

  targets = merge([
    for policy in values(local.policies) : {
      for target in policy.targets : "${policy.model}/${try("${target.project}/", "")}${target.region}/${target.endpoint}" => {
        model    = policy.model
        project  = try(target.project, var.project.id)
        region   = target.region
        endpoint = tostring(target.endpoint)
        # Of two endpoints (blue-green) clients ask one; the second is named as in shared/rollout/names.py.
        green = try(policy.rollout.strategy, "") != "blue_green" ? "" : "${can(tonumber(target.endpoint)) ? "no-" : ""}${target.endpoint}-green"
        # Beside an endpoint stand those of a sticky experiment's arms, while it lasts; a pattern, since their names have a digest in them.
        arms    = try(policy.rollout.experiment.assignment, "") != "key" ? "" : "arm-${substr(tostring(target.endpoint), 0, 40)}-[0-9a-f]{8}"
        machine = policy.machine
        checks  = try(policy.rollout.checks, [])
      } if try(target.bucket, "") == "" # nobody measures what is exported to a bucket
    }
  ]...)

  # Who reads and writes the buckets of edge devices.
  exporting = {
    for pair in setproduct([for name, row in local.table : name if row.exports != ""], var.delivery.export_buckets) : join("/", pair) => {
      function = pair[0]
      bucket   = pair[1]
      role     = local.table[pair[0]].exports == "write" ? "roles/storage.objectUser" : "roles/storage.objectViewer"
    }
  }

  # Who reads the buckets of fixed sets and of the answers to them.
  examining = {
    for pair in setproduct([for name, row in local.table : name if row.gates != ""], var.delivery.gate_buckets) : join("/", pair) => {
      function = pair[0]
      bucket   = pair[1]
    }
  }

  target_projects = setunion([var.project.id], [for target in local.targets : target.project])
}
