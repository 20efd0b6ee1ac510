using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>What the meter and the spans tell of a connection, and that only spans name a tenant.</summary>
public sealed class TelemetryTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_meter_counts_by_connection_and_never_by_tenant()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:BindWithFirstCommand"] = "false" }
        );
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 1, PoolTimeout = TimeSpan.FromSeconds(1) });
        var tenant = await app.AddTenantAsync(row, "acme");
        using var heard = new Heard(row.Name);

        for (var i = 0; i < 3; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await context.Items.AsNoTracking().SingleAsync(Ct);
        }

        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync(row.Name, Ct)
            );
        }

        app.Registry.Change(row.Name, r => r with { MaxPoolSize = 2 });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        Assert.Equal(5, heard.Count("db.client.connection.wait_time"));
        Assert.Equal(5, heard.Count("db.client.connection.use_time"));
        Assert.Equal(2, heard.Count("neocommons.connection.acquisitions", "neocommons.connection.created=True"));
        Assert.Equal(3, heard.Count("neocommons.connection.acquisitions", "neocommons.connection.created=False"));
        Assert.Equal(1, heard.Count("neocommons.connection.failures", "error.type=PoolExhausted"));
        Assert.Equal(1, heard.Count("neocommons.pool.replacements"));
        Assert.Equal(3, heard.Count("neocommons.bind.round_trips"));
        heard.Observe();
        Assert.Equal(1, heard.Count("neocommons.pool.health_score"));
        Assert.DoesNotContain(
            heard.All,
            m =>
                m.Contains(tenant.Slug, StringComparison.Ordinal)
                || m.Contains(tenant.Id.ToString(), StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task What_a_tenants_limits_refuse_is_counted_by_connection_and_never_by_tenant()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        app.Tenants.Set(
            tenant with
            {
                Limits = new TenantLimits { MaxConnections = 1, CommandsPerSecond = 1 },
            }
        );
        using var heard = new Heard(row.Name);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var refused = 0;
        for (var i = 0; i < 1_000 && refused < 3; i++)
        {
            refused +=
                await Record.ExceptionAsync(() => context.Items.ToListAsync(Ct)) is TenantQuotaExceededException
                    ? 1
                    : 0;
        }

        Assert.Equal(3, refused);
        Assert.Equal(3, heard.Count("neocommons.connection.failures", "error.type=TenantCommandQuota"));
        await context.Database.OpenConnectionAsync(Ct);
        await using var own = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Throws<TenantQuotaExceededException>(() => own.Database.GetDbConnection().Open());
        Assert.Equal(1, heard.Count("neocommons.connection.failures", "error.type=TenantQuota "));
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).FailedAcquisitions);
        Assert.DoesNotContain(
            heard.All,
            m =>
                m.Contains(tenant.Slug, StringComparison.Ordinal)
                || m.Contains(tenant.Id.ToString(), StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task A_bind_that_travels_with_the_first_command_is_no_round_trip_of_its_own()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        using var heard = new Heard(row.Name);

        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Items.AsNoTracking().SingleAsync(Ct);

        Assert.Equal(1, heard.Count("db.client.connection.wait_time"));
        Assert.Equal(0, heard.Count("neocommons.bind.round_trips"));
    }

    [Fact]
    public async Task A_trace_shows_the_tenant_and_the_connection_where_a_connection_had_to_be_opened()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        using var spans = new Spans();
        using var request = new Activity("request").Start();

        await using (var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            await context.Items.AsNoTracking().SingleAsync(Ct);
        }

        var opened = Assert.Single(spans.Of(NeoCommonsTelemetry.ActivitySource, request));
        Assert.Equal(tenant.Id.ToString(), opened.GetTagItem(NeoCommonsTelemetry.TenantTag));
        Assert.Equal(row.Name, opened.GetTagItem(NeoCommonsTelemetry.ConnectionTag));
        Assert.Equal(true, opened.GetTagItem("neocommons.connection.created"));
        Assert.Equal(request.SpanId, opened.ParentSpanId);
        Assert.True(opened.Duration > TimeSpan.Zero);
        Assert.Same(request, Activity.Current);
    }

    [Fact]
    public async Task Each_command_of_the_driver_says_whose_it_is()
    {
        await using var app = new RuntimeApp(servers.Postgres);

        // A connection that sat idle for a moment is not to be tried: that is a command too.
        var row = await app.AddDatabaseAsync(r => r with { PrePing = false });
        var tenants = new[] { await app.AddTenantAsync(row, "acme"), await app.AddTenantAsync(row, "globex") };
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        using var spans = new Spans();

        foreach (var tenant in tenants)
        {
            using var request = new Activity("request").Start();
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await context.Items.AsNoTracking().SingleAsync(Ct);
            var command = Assert.Single(spans.Of("Npgsql", request));
            Assert.Equal(tenant.Id.ToString(), command.GetTagItem(NeoCommonsTelemetry.TenantTag));
        }

        // The same physical connection, and nobody's.
        using var unbound = new Activity("job").Start();
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var raw = new NpgsqlCommand("SELECT 1", connection);
        await raw.ExecuteNonQueryAsync(Ct);
        Assert.Null(Assert.Single(spans.Of("Npgsql", unbound)).GetTagItem(NeoCommonsTelemetry.TenantTag));
    }

    [Fact]
    public async Task A_trace_shows_why_a_connection_could_not_be_had()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(r => r with { Port = 1 });
        using var spans = new Spans();
        using var request = new Activity("request").Start();

        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name, Ct)
        );

        var failed = Assert.Single(spans.Of(NeoCommonsTelemetry.ActivitySource, request));
        Assert.Equal(ActivityStatusCode.Error, failed.Status);
        Assert.Equal("Unreachable", failed.GetTagItem("error.type"));
        Assert.Null(failed.GetTagItem(NeoCommonsTelemetry.TenantTag));
    }

    [Fact]
    public async Task A_listener_that_fails_costs_nobody_a_connection_and_hides_no_failure()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var gone = await app.AddDatabaseAsync(r => r with { Port = 1 });
        using var request = new Activity("request").Start();
        var heard = 0;
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == NeoCommonsTelemetry.ActivitySource,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStarted = span =>
            {
                if (span.TraceId == request.TraceId)
                {
                    heard++;
                    throw new InvalidOperationException("The exporter is broken.");
                }
            },
        };
        ActivitySource.AddActivityListener(listener);

        await using (var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        }

        Assert.Equal(1, heard);
        Assert.Equal((1, 0), Counts(app.Connections.GetPoolMetrics(row.Name)));
        var failure = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(gone.Name, Ct)
        );
        Assert.Equal((2, ConnectionUnavailableReason.Unreachable), (heard, failure.Reason));

        static (int Idle, int Active) Counts(PoolMetrics pool) => (pool.Idle, pool.Active);
    }

    [Theory]
    [InlineData("db.client.connection.use_time")]
    [InlineData("db.client.connection.wait_time")]
    [InlineData("neocommons.connection.acquisitions")]
    [InlineData("neocommons.bind.round_trips")]
    [InlineData("neocommons.pool.replacements")]
    public async Task A_listener_of_the_meter_that_fails_keeps_no_connection_and_no_pool(string instrument)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:BindWithFirstCommand"] = "false" }
        );
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 1 });
        var tenant = await app.AddTenantAsync(row, "acme");
        var heard = 0;
        using var listener = new MeterListener
        {
            InstrumentPublished = (published, listener) =>
            {
                if (published.Meter.Name == NeoCommonsTelemetry.Meter && published.Name == instrument)
                {
                    listener.EnableMeasurementEvents(published);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Fail(tags));
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => Fail(tags));
        listener.Start();

        for (var i = 0; i < 3; i++)
        {
            await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
            await using (await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)) { }
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
        }

        Assert.Equal(1, app.Connections.GetPoolMetrics(row.Name).Idle);
        app.Registry.Set(row with { MaxPoolSize = 2 });
        await using var after = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
        Assert.True(heard > 0);

        void Fail(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (tags.ToArray().Any(tag => Equals(tag.Value, row.Name)))
            {
                heard++;
                throw new InvalidOperationException("The exporter is broken.");
            }
        }
    }

    [Fact]
    public async Task The_meter_tells_how_large_the_catalog_of_a_database_is_once_it_was_looked_at()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await app.AddTenantAsync(row, "acme");
        await app.AddTenantAsync(row, "globex");
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        using var heard = new Heard(row.Name);
        heard.Observe();
        Assert.Equal(0, heard.Count("neocommons.catalog.schemas"));

        var seen = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name].Catalog!;
        heard.Observe();

        Assert.Equal(3, seen.Schemas);
        Assert.Equal(1, heard.Count("neocommons.catalog.schemas", $"={seen.Schemas}."));
        Assert.Equal(1, heard.Count("neocommons.catalog.relations", $"={seen.Relations}."));
        Assert.Equal(1, heard.Count("neocommons.catalog.size", $"={seen.CatalogBytes}."));
    }
}
