using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace NeoCommons.EfCore.AspNetCore.Tests.Problems;

public sealed class ProblemTests
{
    // What must never be shown to a caller.
    private const string Host = "db-17.internal.example";

    public static readonly Dictionary<string, (Exception Exception, int Status, string Type)> Cases = new()
    {
        ["unknown tenant"] = (new TenantNotFoundException(Host), 404, "tenant-not-found"),
        ["no tenant"] = (new TenantNotResolvedException(), 400, "tenant-not-resolved"),
        ["suspended"] = (new TenantUnavailableException(KnownTenants.Acme), 503, "tenant-unavailable"),
        ["too much"] = (TooMuch(), 429, "tenant-quota-exceeded"),
        ["too much while saving"] = (new DbUpdateException(Host, TooMuch()), 429, "tenant-quota-exceeded"),
        ["no server"] = (
            new ConnectionUnavailableException(Host, ConnectionUnavailableReason.Unreachable, Host, Lost()),
            503,
            "database-unavailable"
        ),
        ["no row"] = (new ConnectionNotFoundException(Host), 503, "database-unavailable"),
        ["bad secret"] = (new SecretDecryptionException(Host, Host), 503, "database-unavailable"),
        ["taken slug"] = (new TenantConflictException(Host, Host), 409, "tenant-conflict"),
        ["bad name"] = (new InvalidSchemaNameException(Host, Host), 400, "invalid-name"),
        ["isolation"] = (new TenantIsolationException(Host), 500, "tenant-isolation"),
        ["lost connection"] = (Lost(), 503, "database-unavailable"),
        ["lost connection in a query"] = (new InvalidOperationException(Host, Lost()), 503, "database-unavailable"),
        ["lost connection while saving"] = (new DbUpdateException(Host, Lost()), 503, "database-unavailable"),
        ["server shut down"] = (Sql("57P01"), 503, "database-unavailable"),
        ["out of order"] = (
            new ConnectionUnavailableException(Host, ConnectionUnavailableReason.CircuitOpen, Host, Lost()),
            503,
            "database-unavailable"
        ),
        ["statement too slow"] = (Sql(PostgresErrorCodes.QueryCanceled), 504, "statement-timeout"),
        ["lock not to be had"] = (Sql(PostgresErrorCodes.LockNotAvailable), 504, "statement-timeout"),
        ["statement too slow while saving"] = (
            new DbUpdateException(Host, Sql(PostgresErrorCodes.QueryCanceled)),
            504,
            "statement-timeout"
        ),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task An_exception_becomes_a_problem_that_anybody_may_read(string name)
    {
        var (exception, status, type) = Cases[name];
        await using var app = await StartAsync(exception);

        var response = await app.GetAsync("http://shop.example/throw");

        Assert.Equal(status, (int)response.Status);
        Assert.Equal("application/problem+json", response.ContentType);
        Assert.Equal("urn:neocommons:" + type, response.Type);
        Assert.Equal(status, response.Json.GetProperty("status").GetInt32());
        Assert.NotEmpty(response.Json.GetProperty("title").GetString()!);
        Assert.NotEmpty(response.Json.GetProperty("detail").GetString()!);
        Assert.DoesNotContain(Host, response.Body, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Exception", response.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(KnownTenants.Acme.ConnectionName, response.Body, StringComparison.Ordinal);
        Assert.Single(
            app.Log.All,
            line => line.Event.Id is 8001 or 8003 ? line.Exception == exception : line.Event.Id is 8002 or 8004
        );
    }

    [Fact]
    public async Task A_caller_is_told_how_to_name_the_tenant()
    {
        await using var app = await WebApp.StartAsync(
            o => o.FromSubdomain("shop.example").FromHeader("X-Tenant"),
            app => app.MapGet("/throw", string () => throw new TenantNotResolvedException())
        );

        var detail = (await app.GetAsync("http://shop.example/throw")).Json.GetProperty("detail").GetString();

        Assert.Contains("as a subdomain of 'shop.example', or in header 'X-Tenant'", detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "")]
    [InlineData(30.0, "30")]
    [InlineData(1.2, "2")]
    public async Task A_known_waiting_time_is_told(double? seconds, string expected)
    {
        var wait = seconds is { } s ? TimeSpan.FromSeconds(s) : (TimeSpan?)null;
        await using var app = await StartAsync(new TenantUnavailableException(KnownTenants.Acme, wait));

        Assert.Equal(expected, (await app.GetAsync("http://shop.example/throw")).RetryAfter);
    }

    [Fact]
    public async Task A_caller_that_takes_no_json_gets_the_status_and_the_reason_all_the_same()
    {
        await using var app = await StartAsync(new TenantNotFoundException("x"));

        var response = await app.GetAsync("http://shop.example/throw", ("Accept", "text/plain"));

        Assert.Equal(HttpStatusCode.NotFound, response.Status);
        Assert.Equal("urn:neocommons:tenant-not-found", response.Type);
    }

    [Theory]
    [InlineData("no server", LogLevel.Warning)]
    [InlineData("statement too slow", LogLevel.Warning)]
    [InlineData("isolation", LogLevel.Error)]
    [InlineData("unknown tenant", LogLevel.Debug)]
    public async Task The_log_is_as_loud_as_the_fault_is_ours(string name, LogLevel level)
    {
        await using var app = await StartAsync(Cases[name].Exception);

        await app.GetAsync("http://shop.example/throw");

        Assert.Equal(level, Assert.Single(app.Log.All, l => l.Event.Id is >= 8001 and <= 8003).Level);
    }

    [Theory]
    [InlineData("suspended")]
    [InlineData("too much")]
    [InlineData("out of order")]
    public async Task What_each_request_says_again_is_one_line_a_minute_in_the_log(string name)
    {
        var time = new FakeTimeProvider();
        await using var app = await StartAsync(Cases[name].Exception, time);

        foreach (var minute in new[] { 1, 2 })
        {
            for (var request = 0; request < 3; request++)
            {
                await app.GetAsync("http://shop.example/throw");
            }

            Assert.Equal(minute, app.Log.All.Count(l => l is { Event.Id: 8004, Level: LogLevel.Information }));
            Assert.Equal(2 * minute, app.Log.All.Count(l => l is { Event.Id: 8005, Level: LogLevel.Debug }));
            time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.DoesNotContain(app.Log.All, l => l.Exception is not null);
    }

    [Fact]
    public async Task What_is_told_of_one_tenant_keeps_nothing_of_another_from_the_log()
    {
        var other = KnownTenants.Acme with { Id = TenantId.New(), Slug = "globex" };
        var exceptions = new Queue<Exception>([
            new TenantUnavailableException(KnownTenants.Acme),
            new TenantUnavailableException(other),
            TooMuch(),
            new TenantUnavailableException(other),
        ]);
        await using var app = await WebApp.StartAsync(
            o => o.FromHeader("X-Tenant"),
            app => app.MapGet("/throw", string () => throw exceptions.Dequeue())
        );

        while (exceptions.Count > 0)
        {
            await app.GetAsync("http://shop.example/throw");
        }

        Assert.Equal(3, app.Log.All.Count(l => l.Event.Id == 8004));
    }

    [Fact]
    public async Task Exceptions_of_others_are_left_to_others()
    {
        foreach (
            var exception in new Exception[]
            {
                new InvalidOperationException(Host),
                new DbUpdateException(Host, Sql(PostgresErrorCodes.UniqueViolation)),
                new InvalidOperationException(Host, new TenantNotFoundException(Host)),
                Sql(PostgresErrorCodes.UndefinedTable),
                new OperationCanceledException(Host, Sql(PostgresErrorCodes.QueryCanceled)),
            }
        )
        {
            await using var app = await StartAsync(exception);

            var response = await app.GetAsync("http://shop.example/throw");

            Assert.Equal(HttpStatusCode.InternalServerError, response.Status);
            Assert.DoesNotContain("urn:neocommons", response.Body, StringComparison.Ordinal);
            Assert.DoesNotContain(Host, response.Body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_tenant_store_that_cannot_look_is_unavailable_and_not_an_unknown_tenant()
    {
        await using var app = await WebApp.StartAsync(o => o.FromHeader("X-Tenant"));
        app.Tenants.Fault = Cases["no server"].Exception;

        var response = await app.GetAsync("http://shop.example/", ("X-Tenant", "acme"));

        Assert.Equal("urn:neocommons:database-unavailable", response.Type);
    }

    [Theory]
    [InlineData("waiting")]
    [InlineData("asleep")]
    [InlineData("gone")]
    public async Task A_tenant_that_is_not_active_is_unavailable(string slug)
    {
        await using var app = await WebApp.StartAsync(o => o.FromHeader("X-Tenant"));

        var response = await app.GetAsync("http://shop.example/", ("X-Tenant", slug));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.Status);
        Assert.Equal("urn:neocommons:tenant-unavailable", response.Type);
    }

    private static Task<WebApp> StartAsync(Exception exception, TimeProvider? time = null) =>
        WebApp.StartAsync(
            o => o.FromHeader("X-Tenant"),
            app => app.MapGet("/throw", string () => throw exception),
            time: time
        );

    private static TenantQuotaExceededException TooMuch() =>
        new(KnownTenants.Acme, TenantQuota.Connections, 5, TimeSpan.FromSeconds(1), Host);

    private static NpgsqlException Lost() => new(Host, new IOException(Host));

    private static PostgresException Sql(string state) => new(Host, "FATAL", "FATAL", state);
}
