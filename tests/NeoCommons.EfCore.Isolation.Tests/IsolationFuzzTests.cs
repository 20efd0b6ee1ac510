using System.Globalization;
using NeoCommons.EfCore.Isolation.Tests.Fuzz;

namespace NeoCommons.EfCore.Isolation.Tests;

/// <summary>
/// No tenant ever reads or writes another's rows, whatever fails: cancelled tokens, killed backends, errors, in every mix
/// of operations.
/// </summary>
/// <remarks>
/// <c>./test.sh --filter-class '*IsolationFuzz*'</c>; <c>NEO_SOAK_MINUTES=60</c> runs for so long, all cases together;
/// <c>NEO_FUZZ_SEED</c> draws a run's operations again. What a case needs in time differs from machine to machine: it is
/// the number of operations that is asserted.
/// </remarks>
public sealed class IsolationFuzzTests(TestServers servers, ITestOutputHelper output)
{
    private const long OperationsInAll = 36_000;
    private const long OperationsInLongForm = 1_000_000;

    private static readonly FuzzCase[] Matrix =
    [
        new("search path"),
        new("search path, retry, 64 tenants")
        {
            Retry = true,
            Tenants = 64,
            Workers = 32,
        },
        new("search path, an ordinary SET")
        {
            Prepend = false,
            PrePing = false,
            Tenants = 8,
        },
        new("search path, pooled contexts") { PooledContexts = true },
        new("search path, reset when used") { Reset = SessionReset.WhenUsed, PoolSize = 4 },
        new("search path, reset when used, pooled contexts, retry, 64 workers")
        {
            PooledContexts = true,
            Reset = SessionReset.WhenUsed,
            Retry = true,
            Workers = 64,
            PoolSize = 8,
        },
        new("qualified names, prepared statements")
        {
            Binding = SchemaBinding.QualifiedNames,
            Prepared = 20,
            Retry = true,
        },
        new("qualified names, reset when used, pooled contexts, 64 tenants")
        {
            Binding = SchemaBinding.QualifiedNames,
            Reset = SessionReset.WhenUsed,
            PooledContexts = true,
            Tenants = 64,
            Workers = 32,
        },
        new("search path, tenant roles, reset when used, pooled contexts")
        {
            TenantRoles = true,
            Reset = SessionReset.WhenUsed,
            PooledContexts = true,
        },
        new("qualified names, tenant roles, reset when used, retry")
        {
            TenantRoles = true,
            Binding = SchemaBinding.QualifiedNames,
            Reset = SessionReset.WhenUsed,
            Retry = true,
        },
        new("qualified names behind a transaction pooler")
        {
            Binding = SchemaBinding.QualifiedNames,
            BehindPooler = true,
        },
        new("qualified names behind a transaction pooler, retry, pooled contexts")
        {
            Binding = SchemaBinding.QualifiedNames,
            BehindPooler = true,
            Retry = true,
            PooledContexts = true,
            Workers = 32,
            PoolSize = 12,
        },
    ];

    public static TheoryData<FuzzCase> Cases => [.. Matrix];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task No_tenant_reads_or_writes_anothers_rows(FuzzCase fuzz)
    {
        var soak = SoakMinutes() is { } minutes ? TimeSpan.FromMinutes(minutes / Matrix.Length) : TimeSpan.Zero;
        var operations = 1 + (soak > TimeSpan.Zero ? OperationsInLongForm : OperationsInAll) / Matrix.Length;
        var database = await FuzzDatabase.CreateAsync(servers.Postgres, fuzz.Tenants, LibraryDriver.Connection, Ct);
        await using var driver = await LibraryDriver.StartAsync(database, fuzz, Ct);
        var run = new FuzzRun(database, driver, fuzz.Workers);

        var report = await run.RunAsync(operations, soak, soak + TimeSpan.FromMinutes(10), untilWrong: false, Ct);

        output.WriteLine(report.ToString());
        Assert.True(report is { Wrong: 0, WrongRows: 0, Unexpected.Count: 0 }, report.ToString());
        Assert.True(report.Operations >= operations, report.ToString());

        // The faults were there, and so was the work.
        Assert.True(report.Succeeded.Values.Sum() > report.Operations / 2, report.ToString());
        Assert.True(report is { Cancelled: > 0, Kills: > 0 }, report.ToString());
        Assert.Empty(run.Kinds.Distinct().Except(report.Succeeded.Keys));
    }

    private static double? SoakMinutes() =>
        double.TryParse(
            Environment.GetEnvironmentVariable("NEO_SOAK_MINUTES"),
            CultureInfo.InvariantCulture,
            out var minutes
        )
            ? minutes
            : null;
}
