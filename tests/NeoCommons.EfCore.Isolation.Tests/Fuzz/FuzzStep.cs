using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>One operation at work, and what it must see.</summary>
internal sealed record FuzzStep(
    CanaryContext Context,
    Tenant Tenant,
    IFuzzDriver Driver,
    Random Random,
    FuzzReport Report,
    string Operation,
    CancellationToken Ct
)
{
    /// <summary>How raw SQL that EF executes calls the tenant's table.</summary>
    public string Table => Driver.Table;

    /// <summary>How SQL that somebody else executes calls it.</summary>
    public string TableOutsideEf => Driver.TableOutsideEf(Tenant);

    /// <summary>EF's strategy, which a transaction of the application must run in where retries are on.</summary>
    public IExecutionStrategy Strategy => Context.Database.CreateExecutionStrategy();

    public Canary NewRow(string note = "") =>
        new()
        {
            Tenant = Tenant.Slug,
            Writer = Tenant.Slug,
            Note = note,
        };

    /// <summary>One of the rows that are always there; one, so that transactions do not wait for each other in a circle.</summary>
    public IQueryable<Canary> ASeed()
    {
        var id = Random.Next(1, FuzzDatabase.Seeds + 1);
        return Context.Canaries.Where(c => c.IsSeed && c.Id == id);
    }

    /// <summary>All rows must be the tenant's, and there must be some: its seeds.</summary>
    public void CheckRows(IReadOnlyCollection<Canary> rows)
    {
        Check([.. rows.Select(r => r.Tenant).Concat(rows.Select(r => r.Writer))]);
    }

    public void Check(IReadOnlyCollection<string> owners)
    {
        Report.Read(owners.Count);
        if (owners.Count == 0)
        {
            Report.Mistake(Operation, Tenant.Slug, "read nothing");
        }

        foreach (var owner in owners.Where(owner => owner != Tenant.Slug))
        {
            Report.Mistake(Operation, Tenant.Slug, $"read a row of {owner}");
        }
    }

    /// <summary>A write that found none of the rows that the tenant is known to have went elsewhere.</summary>
    public void CheckAffected(int affected, int atLeast)
    {
        if (affected < atLeast)
        {
            Report.Mistake(Operation, Tenant.Slug, $"wrote {affected} rows instead of {atLeast}");
        }
    }

    /// <summary>The same, for what is not there any more when it is executed a second time.</summary>
    public void CheckAffectedOnce(int affected, int atLeast)
    {
        if (!Driver.Retries)
        {
            CheckAffected(affected, atLeast);
        }
    }
}
